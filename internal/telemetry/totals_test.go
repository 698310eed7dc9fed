package telemetry

import (
	"encoding/json"
	"testing"
	"time"
)

// TestTotals: what was counted comes out by its name, and nothing else.
func TestTotals(t *testing.T) {
	t.Parallel()
	m := NewMetrics(labels())
	read := func() *Totals {
		t.Helper()
		totals, err := m.Totals()
		if err != nil {
			t.Fatal(err)
		}
		return totals
	}
	if b, err := json.Marshal(read()); err != nil || string(b) != `{"outcomes":{},"reasons":{},"deadLetters":{},"duplicates":0,"redeliveries":0,"inFlight":0,"circuitOpen":false}` {
		t.Errorf("at the start: %s, %v", b, err)
	}
	m.Outcome("reported", "ERROR_NONE", 2*time.Second)
	m.Outcome("failed", "INVALID_CALL", time.Second)
	m.Outcome("failed", "INVALID_CALL", time.Second)
	m.DeadLetter("INVALID_CALL")
	m.Duplicate()
	m.Redelivery()
	m.Redelivery()
	m.InFlight(3)
	m.CircuitOpen(true)
	totals := read()
	want := `{"outcomes":{"failed":2,"reported":1},"reasons":{"ERROR_NONE":1,"INVALID_CALL":2},"deadLetters":{"INVALID_CALL":1},"duplicates":1,"redeliveries":2,"inFlight":3,"circuitOpen":true}`
	if b, err := json.Marshal(totals); err != nil || string(b) != want || totals.Took != 4*time.Second {
		t.Errorf("got %s, %v, %v\nwant %s", b, totals.Took, err, want)
	}
}
