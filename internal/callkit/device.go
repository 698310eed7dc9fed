package callkit

import (
	"slices"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// A device has room for so many calls of each kind at once (doc).
const (
	maxOutgoing = 1
	maxIncoming = 3
)

// call is a call that a device knows.
type call struct {
	bundle, id string
	outgoing   bool
	state      voip.VoipCallState
	reported   time.Time
}

// over says that nobody answered the call in time.
func (c *call) over(now time.Time, timeout time.Duration) bool {
	unanswered := c.state == voip.StateDialing || c.state == voip.StateRinging
	return unanswered && now.Sub(c.reported) >= timeout
}

// device holds its live calls, at most maxOutgoing + maxIncoming, and whether
// a carrier call is going on.
type device struct {
	calls   []call
	carrier bool
}

// tidy forgets the calls that nobody answered in time.
func (d *device) tidy(now time.Time, timeout time.Duration) {
	d.calls = slices.DeleteFunc(d.calls, func(c call) bool { return c.over(now, timeout) })
}

func (d *device) find(bundle, id string) *call {
	for i := range d.calls {
		if d.calls[i].bundle == bundle && d.calls[i].id == id {
			return &d.calls[i]
		}
	}
	return nil
}

func (d *device) end(c *call) {
	d.calls = slices.DeleteFunc(d.calls, func(o call) bool { return o.bundle == c.bundle && o.id == c.id })
}

// room says whether one more call fits (rule 4), and, if not, whether another
// bundle holds one of the places.
func (d *device) room(bundle string, outgoing bool) (free, others bool) {
	n := 0
	for i := range d.calls {
		if d.calls[i].outgoing == outgoing {
			n++
			others = others || d.calls[i].bundle != bundle
		}
	}
	if outgoing {
		return n < maxOutgoing, others
	}
	return n < maxIncoming, others
}

// lasting says that the device is not forgotten by itself: a carrier call is
// going on, or a call was answered.
func (d *device) lasting() bool {
	return d.carrier || slices.ContainsFunc(d.calls, func(c call) bool {
		return c.state != voip.StateDialing && c.state != voip.StateRinging
	})
}

// device finds a device by its id; one that it knows nothing of is new.
func (m *Model) device(id string, now time.Time) *device {
	d, ok := m.lasting[id]
	if !ok {
		d, ok = m.devices.get(id, now)
	}
	if !ok {
		return &device{}
	}
	d.tidy(now, m.opts.AnswerTimeout)
	return d
}

// place keeps a device that has changed where it belongs: those that last
// until something happens, and those whose calls end by themselves.
func (m *Model) place(id string, d *device, now time.Time) {
	delete(m.lasting, id)
	switch {
	case d.lasting():
		m.devices.drop(id)
		m.lasting[id] = d
	case len(d.calls) > 0:
		m.devices.put(id, d, now)
	default:
		m.devices.drop(id)
	}
}
