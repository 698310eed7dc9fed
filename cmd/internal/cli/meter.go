package cli

import (
	"fmt"
	"io"
)

// meter says now and then how far a long reading has come.
type meter struct {
	w      io.Writer
	stream string
	all    uint64 // messages to read
	ticks  int
}

// meterEvery is in ticks of a scan, which come once a second.
const meterEvery = 5

func (m *meter) tick(read uint64) {
	if m.ticks++; m.ticks%meterEvery == 0 {
		fmt.Fprintf(m.w, "reading %s: %d of %d\n", m.stream, read, m.all)
	}
}
