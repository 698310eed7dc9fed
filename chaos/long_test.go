package chaos

import (
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestLongRun: a fleet of four under a steady load, one of them killed every
// few seconds, the server every quarter of a minute; answers get lost, and calls
// are pushed again. It is the long form's own.
func TestLongRun(t *testing.T) {
	if !*long {
		t.Skip("-long")
	}
	r := alone(t, 4)
	r.bridge.slow = 20 * time.Millisecond
	r.bridge.losing(0.005)
	stored := r.gateway.load("c", *calls, *rate)
	end := time.Now().Add(time.Duration(*calls / *rate) * time.Second)
	var kills, faults int
	var hands sync.WaitGroup
	hands.Go(func() { faults = r.failServer(end) })
	for ; time.Now().Before(end); kills++ {
		pass(time.Second + time.Duration(r.dice.Int64N(int64(2*time.Second))))
		r.workers[r.dice.IntN(len(r.workers))].crash()
	}
	hands.Wait()
	stored()
	r.settled(patience)
	pass(life) // so that the audit judges every call
	repeats := r.verdict()
	t.Logf("%d calls, %d worker kills, %d server faults, %d repeated reports", *calls, kills, faults, repeats)
}

// failServer kills, ends and freezes the server in turn, until a time.
func (r *rig) failServer(end time.Time) (faults int) {
	s := r.servers[0]
	chance := dice(r.t) // of its own: it runs beside the kills
	for {
		pass(7*time.Second + time.Duration(chance.Int64N(int64(4*time.Second))))
		if time.Now().After(end) {
			return faults
		}
		down := time.Duration(chance.Int64N(int64(2 * time.Second)))
		r.outage(func() {
			switch faults % 3 {
			case 0:
				s.restart(syscall.SIGKILL, down)
			case 1:
				s.restart(syscall.SIGTERM, down)
			default:
				s.freeze(down)
			}
		})
		faults++
	}
}
