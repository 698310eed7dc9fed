package callkit

import (
	"context"
	"sync"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// Model is the system's voipCall module on any number of devices, with the
// bridge in front of it. Its methods may be called from many goroutines.
type Model struct {
	opts    Options
	printer printer
	success *voip.Answer

	mu      sync.Mutex
	down    bool
	keys    *memory[fingerprint, *voip.Answer]
	alone   *memory[fingerprint, bool] // calls on devices of their own: is it an outgoing one?
	devices *memory[string, *device]
	lasting map[string]*device
	recent  []Ref // calls on devices of their own, for lists
	faults  []*fault
	stats   Stats
}

// New makes a model with no calls.
func New(opts Options) *Model {
	opts = opts.withDefaults()
	success := resolve(voip.ErrorNone, "")
	return &Model{
		opts: opts, printer: newPrinter(), success: &success,
		keys:    newMemory[fingerprint, *voip.Answer](opts.KeyLife),
		alone:   newMemory[fingerprint, bool](opts.AnswerTimeout),
		devices: newMemory[string, *device](opts.AnswerTimeout),
		lasting: map[string]*device{},
	}
}

// Report answers one request with what reportOutgoingCall or
// reportIncomingCall would resolve or reject with. Its error is a
// *voip.ReportError, and only for an injected transport fault or when ctx ends
// before an injected latency has passed.
//
// The call is judged first and the latency comes after: an answer that nobody
// waited for was given all the same, as by a slow bridge.
func (m *Model) Report(ctx context.Context, req *voip.Request) (voip.Answer, error) {
	e := m.report(ctx, req, InProcess)
	if e.Err != nil {
		return voip.Answer{}, e.Err
	}
	return e.Answer, nil
}

// report is Report for the servers, which have to know what was injected.
func (m *Model) report(ctx context.Context, req *voip.Request, via Via) handled {
	e := m.handle(req)
	e.Via, e.Request = via, req
	if err := e.latency.wait(ctx); err != nil {
		e.Err, e.fault = err, nil
	}
	if m.opts.Observe != nil {
		m.opts.Observe(e.Event)
	}
	return e
}

// handled is an event with what delays and hinders its answer.
type handled struct {
	Event
	latency Latency
	fault   *fault // nil: none
}

func (m *Model) handle(req *voip.Request) (e handled) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.Ref, e.Method, e.Attempt, e.Key = refOf(req), req.Method, req.Attempt, req.IdempotencyKey
	m.stats.Requests++
	now := m.opts.Now()
	effects := m.effects(req, now)
	e.latency, e.fault = effects.latency, effects.action
	if effects.action != nil && !effects.action.reaches() {
		m.stats.Faults++
		e.Err = effects.action.err()
		return e
	}
	e.Answer = *m.bridge(req, effects.action, &e.Event, now)
	if effects.action != nil && effects.action.Effect == LoseAnswer {
		m.stats.Faults++
		e.Err = effects.action.err()
	}
	return e
}

// bridge is rule 3's second half: a key that was seen gets the answer that was
// given, before anything else is looked at.
func (m *Model) bridge(req *voip.Request, f *fault, e *Event, now time.Time) *voip.Answer {
	keyed := req.IdempotencyKey != "" && !m.opts.ForgetKeys
	var key fingerprint
	if keyed {
		key = m.printer.of(req.IdempotencyKey)
		if a, ok := m.keys.get(key, now); ok {
			m.stats.Replayed++
			e.Replayed = true
			return a
		}
	}
	a := m.service(req, f, e, now)
	// Nothing was accepted or refused while the service could not be reached:
	// such an answer is not kept, as a bridge keeps no 5xx.
	if keyed && a.Code != voip.CodeCannotConnect {
		m.keys.put(key, a, now)
	}
	return a
}

// service is what the system itself says of a new request.
func (m *Model) service(req *voip.Request, f *fault, e *Event, now time.Time) *voip.Answer {
	a := m.judge(req, f, e, now)
	if a.Reason() != voip.ReasonNone {
		m.stats.Refused++
		return a
	}
	m.stats.Accepted++
	e.AvatarShown = shown(&req.Attribute.UserProfile)
	if !e.AvatarShown {
		m.stats.AvatarsHidden++
	}
	return a
}

func (m *Model) judge(req *voip.Request, f *fault, e *Event, now time.Time) *voip.Answer {
	if m.down { // rule 10
		return reject(voip.CodeCannotConnect, "the service is down")
	}
	if f != nil && f.Effect == AnswerWith {
		m.stats.Faults++
		return &f.answer
	}
	if a := checkRequest(req); a != nil {
		return a
	}
	if req.DeviceID == "" {
		return m.reportAlone(req, e, now)
	}
	return m.reportOn(req, e, now)
}

// Stats are the counts so far.
func (m *Model) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}
