package callkit

import (
	"cmp"
	"slices"
	"strings"

	"github.com/voip-push/worker/internal/voip"
)

// maxListed bounds the calls on devices of their own that are remembered with
// their names: a load of hours must not fill the memory of whoever serves it.
const maxListed = 10_000

// Call is a live call, as a list shows it.
type Call struct {
	Ref
	State     string `json:"state"`
	Direction string `json:"direction"`
}

// Calls lists the live calls by device, bundle and callId. Of those on devices
// of their own the model itself keeps fingerprints alone: it lists the last few
// thousand, and only with Options.List.
func (m *Model) Calls() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opts.Now()
	all := []Call{}
	for id := range m.deviceIDs() {
		d := m.device(id, now)
		for _, c := range d.calls {
			if c.over(now, m.opts.AnswerTimeout) {
				continue
			}
			ref := Ref{BundleName: c.bundle, DeviceID: id, CallID: c.id}
			if strings.HasPrefix(id, "\x00") { // a device of its own
				ref.DeviceID = ""
			}
			all = append(all, listed(ref, c.state, c.outgoing))
		}
	}
	for _, ref := range m.recent {
		if outgoing, live := m.alone.get(m.fingerprint(ref), now); live {
			all = append(all, listed(ref, newState(outgoing), outgoing))
		}
	}
	slices.SortFunc(all, func(a, b Call) int {
		return cmp.Or(cmp.Compare(a.DeviceID, b.DeviceID), cmp.Compare(a.BundleName, b.BundleName), cmp.Compare(a.CallID, b.CallID))
	})
	return slices.CompactFunc(all, func(a, b Call) bool { return a.Ref == b.Ref })
}

func listed(ref Ref, s voip.VoipCallState, outgoing bool) Call {
	c := Call{Ref: ref, State: s.String(), Direction: string(voip.Incoming)}
	if outgoing {
		c.Direction = string(voip.Outgoing)
	}
	return c
}

func (m *Model) deviceIDs() map[string]bool {
	ids := map[string]bool{}
	for id := range m.lasting {
		ids[id] = true
	}
	for _, g := range m.devices.generations {
		for id := range g.entries {
			ids[id] = true
		}
	}
	return ids
}

// remember keeps the name of a call on a device of its own, for lists.
func (m *Model) remember(ref Ref) {
	if !m.opts.List {
		return
	}
	if len(m.recent) >= maxListed {
		m.recent = slices.Clone(m.recent[maxListed/2:])
	}
	m.recent = append(m.recent, ref)
}

// Rule is an injected fault, as a list shows it.
type Rule struct {
	Rule   string `json:"rule"`
	Active bool   `json:"active"` // it has begun, and has not ended
}

// Rules lists the faults that were injected.
func (m *Model) Rules() []Rule {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opts.Now()
	rules := make([]Rule, len(m.faults))
	for i, f := range m.faults {
		rules[i] = Rule{Rule: f.String(), Active: f.during(now)}
	}
	return rules
}

// ClearFaults takes every fault away.
func (m *Model) ClearFaults() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = nil
}
