package cli

import (
	"fmt"
	"io"
	"time"
)

// Meter says now and then how far something long has come.
type Meter struct {
	w     io.Writer
	doing string
	all   uint64
	next  time.Time
}

const meterEvery = 5 * time.Second

// NewMeter is for something of so many steps that begins now. What it is doing
// may be printed, for it is not the output.
func NewMeter(stderr io.Writer, doing string, all int) *Meter {
	return &Meter{stderr, doing, uint64(max(0, all)), time.Now().Add(meterEvery)}
}

// At is called over and over, with how many steps are done.
func (m *Meter) At(done uint64) {
	now := time.Now()
	if now.Before(m.next) {
		return
	}
	m.next = now.Add(meterEvery)
	fmt.Fprintf(m.w, "%s: %d of %d\n", m.doing, done, m.all)
}
