package callkit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// clock is a time that a test sets.
type clock struct{ now time.Time }

func (c *clock) pass(d time.Duration) { c.now = c.now.Add(d) }

func newTest(t *testing.T, opts Options) (*Model, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	opts.Now = func() time.Time { return c.now }
	return New(opts), c
}

// edit changes a request that would be accepted.
type edit func(*voip.Request)

func request(id string, edits ...edit) *voip.Request {
	r := &voip.Request{
		Method: voip.MethodOutgoing, Attempt: 1,
		Attribute: voip.VoipCallAttribute{
			CallID: id, UserName: "Li Lei", AbilityName: "EntryAbility", VoipCallState: voip.StateDialing,
			UserProfile: voip.UserProfile{ContentType: "image/png", Width: 112, Height: 112, Data: []byte("png")},
			Switches:    voip.DefaultSwitches(),
		},
	}
	for _, e := range edits {
		e(r)
	}
	return r
}

func incoming(r *voip.Request) {
	r.Method, r.Attribute.VoipCallState = voip.MethodIncoming, voip.StateRinging
}
func on(device string) edit { return func(r *voip.Request) { r.DeviceID = device } }
func of(bundle string) edit { return func(r *voip.Request) { r.BundleName = bundle } }
func under(key string) edit { return func(r *voip.Request) { r.IdempotencyKey = key } }
func attempt(n int) edit    { return func(r *voip.Request) { r.Attempt = n } }
func avatar(w, h int) edit {
	return func(r *voip.Request) { r.Attribute.UserProfile.Width, r.Attribute.UserProfile.Height = w, h }
}
func allowed(r *voip.Request) { r.Attribute.IsDialingAllowedDuringCarrierCall = true }

// said is an answer in short: "0/2" is code 0 with errorReason 2.
func said(t *testing.T, m *Model, r *voip.Request) string {
	t.Helper()
	a, err := m.Report(t.Context(), r)
	if err != nil {
		t.Fatalf("Report(%s): %v", r.Attribute.CallID, err)
	}
	s := strconv.Itoa(int(a.Code))
	if a.Code == voip.CodeOK {
		s += "/" + strconv.Itoa(int(*a.ErrorReason))
	}
	if a.Duplicate {
		s += " duplicate"
	}
	return s
}

func expect(t *testing.T, m *Model, want string, r *voip.Request) {
	t.Helper()
	if got := said(t, m, r); got != want {
		t.Errorf("%s of %q on %q says %s, want %s", r.Method, r.Attribute.CallID, r.DeviceID, got, want)
	}
}

func TestRules126Request(t *testing.T) {
	tests := []struct {
		rule, want string
		edit       edit
	}{
		{"1: whole", "0/0", func(*voip.Request) {}},
		{"1: no userName", "401", func(r *voip.Request) { r.Attribute.UserName = "" }},
		{"1: no userProfile", "401", func(r *voip.Request) { r.Attribute.UserProfile.Data = nil }},
		{"1: no abilityName", "401", func(r *voip.Request) { r.Attribute.AbilityName = "" }},
		{"1: no such method", "801", func(r *voip.Request) { r.Method = "reportCall" }},
		{"1: type out of range", "1007200001", func(r *voip.Request) { r.Attribute.VoipCallType = 2 }},
		{"1: picture without a size", "1007200001", avatar(0, 112)},
		{"2: outgoing needs DIALING", "1007200001", func(r *voip.Request) { r.Attribute.VoipCallState = voip.StateRinging }},
		{"2: incoming with RINGING", "0/0", incoming},
		{"2: incoming needs RINGING", "1007200001", func(r *voip.Request) { incoming(r); r.Attribute.VoipCallState = voip.StateDialing }},
		{"2: state out of range", "1007200001", func(r *voip.Request) { r.Attribute.VoipCallState = 8 }},
		{"6: no callId", "0/3", func(r *voip.Request) { r.Attribute.CallID = "" }},
		{"6: callId with a control character", "0/3", func(r *voip.Request) { r.Attribute.CallID = "a\nb" }},
		{"6: another push's callId", "0/3", under("c-2.r0.a1")},
		{"6: callId is more than the push's", "0/3", under("c.r0.a1")},
		{"6: the push's callId", "0/0", under("c-1.r0.a1")},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			m, _ := newTest(t, Options{})
			expect(t, m, tt.want, request("c-1", tt.edit))
		})
	}
}

func TestRule3Duplicates(t *testing.T) {
	for _, device := range []string{"", "d-1"} {
		t.Run("device "+device, func(t *testing.T) {
			m, clock := newTest(t, Options{})
			expect(t, m, "0/0", request("out", on(device)))
			expect(t, m, "1007200001", request("out", on(device)))
			expect(t, m, "0/0", request("in", incoming, on(device)))
			expect(t, m, "0/0", request("in", incoming, on(device)))
			expect(t, m, "1007200001", request("in", on(device)))
			expect(t, m, "1007200001", request("out", incoming, on(device)))
			if n := m.Stats().Accepted; n != 3 {
				t.Errorf("%d accepted, want 3", n)
			}
			clock.pass(time.Minute)
			expect(t, m, "0/0", request("out", on(device)))
		})
	}
	t.Run("no second banner", func(t *testing.T) {
		var banners int
		m, _ := newTest(t, Options{SayDuplicate: true, Observe: func(e Event) {
			if e.Banner {
				banners++
			}
		}})
		expect(t, m, "0/0", request("in", incoming))
		expect(t, m, "0/0 duplicate", request("in", incoming))
		expect(t, m, "0/0", request("out"))
		expect(t, m, "1007200001 duplicate", request("out"))
		if banners != 2 {
			t.Errorf("%d banners, want 2", banners)
		}
	})
	t.Run("a bundle is part of the identity", func(t *testing.T) {
		m, _ := newTest(t, Options{})
		expect(t, m, "0/0", request("c", of("a")))
		expect(t, m, "0/0", request("c", of("b")))
	})
}

func TestRule3Keys(t *testing.T) {
	m, clock := newTest(t, Options{})
	expect(t, m, "0/0", request("c", on("d"), under("c.r0.a1")))
	clock.pass(5*time.Minute - 1)
	expect(t, m, "0/0", request("c", on("d"), under("c.r0.a1")))
	if n := m.Stats().Replayed; n != 1 {
		t.Fatalf("%d replayed, want 1", n)
	}
	expect(t, m, "0/0", request("other", on("d"), under("other.r0.a1"))) // the first has ended long ago
	clock.pass(1)
	expect(t, m, "1007200003", request("c", on("d"), under("c.r0.a1"))) // a new attempt now
	expect(t, m, "1007200003", request("c", on("d"), under("c.r0.a1")))
	if n := m.Stats().Replayed; n != 2 {
		t.Errorf("%d replayed, want 2: a refusal is given again as well", n)
	}

	forgets, _ := newTest(t, Options{ForgetKeys: true})
	expect(t, forgets, "0/0", request("c", under("c.r0.a1")))
	expect(t, forgets, "1007200001", request("c", under("c.r0.a1")))
}

func TestRule4Slots(t *testing.T) {
	m, clock := newTest(t, Options{})
	expect(t, m, "0/0", request("o1", on("d"), of("a")))
	expect(t, m, "1007200003", request("o2", on("d"), of("a")))
	expect(t, m, "0/2", request("o2", on("d"), of("b")))
	for i := range 3 {
		expect(t, m, "0/0", request(fmt.Sprint("i", i), incoming, on("d"), of("a")))
	}
	expect(t, m, "1007200003", request("i3", incoming, on("d"), of("a")))
	expect(t, m, "0/2", request("i3", incoming, on("d"), of("b")))
	expect(t, m, "0/0", request("o2", on("another"), of("a")))
	expect(t, m, "0/0", request("o2", of("a")))
	clock.pass(30 * time.Second)
	expect(t, m, "0/0", request("o1", on("e"), of("a")))
	expect(t, m, "1007200003", request("o2", on("d"), of("a")))
	clock.pass(30 * time.Second) // nobody answered on d
	expect(t, m, "0/0", request("o2", on("d"), of("b")))
	expect(t, m, "0/0", request("i0", incoming, on("e"), of("a")))
	clock.pass(30 * time.Second) // nor the first call on e, which has one more
	expect(t, m, "0/0", request("o2", on("e"), of("a")))

	m, _ = newTest(t, Options{BusyIsInternal: true})
	expect(t, m, "0/0", request("o1", on("d"), of("a")))
	expect(t, m, "1007200003", request("o2", on("d"), of("b")))
}

func TestRule5And7Carrier(t *testing.T) {
	m, _ := newTest(t, Options{})
	dialing, ringing, active := Ref{DeviceID: "d", CallID: "dialing"}, Ref{DeviceID: "d", CallID: "ringing"}, Ref{DeviceID: "d", CallID: "active"}
	expect(t, m, "0/0", request("active", on("d")))
	if code := m.ReportCallStateChange(active, voip.StateActive); code != voip.CodeOK {
		t.Fatalf("ACTIVE: %d", code)
	}
	expect(t, m, "0/0", request("ringing", incoming, on("d")))
	ended := m.DialCellular("d")
	if len(ended) != 1 || ended[0] != (Ended{Ref: ringing, Was: voip.StateRinging, Reason: voip.CellularCallExists}) {
		t.Errorf("dialling ended %v, want the ringing call alone", ended)
	}
	if s, ok := m.State(active); !ok || s != voip.StateActive {
		t.Errorf("the active call is %v, %v; it survives", s, ok)
	}
	expect(t, m, "0/1", request("c", incoming, on("d")))
	expect(t, m, "0/0", request("c", incoming, on("d"), allowed))
	m.EndCellular("d")
	expect(t, m, "0/0", request("c2", incoming, on("d")))
	m.Disconnect(active)

	expect(t, m, "0/0", request("dialing", on("d")))
	if ended = m.AnswerCellular("d"); len(ended) != 1 || ended[0] != (Ended{Ref: dialing, Was: voip.StateDialing, Reason: voip.UserAnswerCellularFirst}) {
		t.Errorf("answering ended %v, want the dialing call alone", ended)
	}
	expect(t, m, "0/0", request("elsewhere", on("d-2")))

	m, _ = newTest(t, Options{CarrierIsInternal: true})
	m.DialCellular("d")
	expect(t, m, "1007200003", request("c", on("d")))
}

func TestRule8States(t *testing.T) {
	const ok, bad = voip.CodeOK, voip.CodeInvalidValue
	for _, device := range []string{"", "d"} {
		t.Run("device "+device, func(t *testing.T) {
			m, clock := newTest(t, Options{})
			out, in := Ref{DeviceID: device, CallID: "out"}, Ref{DeviceID: device, CallID: "in"}
			expect(t, m, "0/0", request("out", on(device)))
			expect(t, m, "0/0", request("in", incoming, on(device)))
			steps := []struct {
				ref  Ref
				to   voip.VoipCallState
				want voip.Code
			}{
				{Ref{DeviceID: device, CallID: "unknown"}, voip.StateActive, bad},
				{out, voip.StateIdle, bad},
				{out, voip.StateHolding, bad},
				{out, voip.StateAnswered, bad},
				{out, voip.StateActive, ok},
				{out, voip.StateActive, bad},
				{in, voip.StateActive, bad},
				{in, voip.StateAnswered, ok},
				{in, voip.StateActive, ok},
				{in, voip.StateDisconnected, ok},
				{in, voip.StateDisconnected, bad},
			}
			for _, s := range steps {
				if got := m.ReportCallStateChange(s.ref, s.to); got != s.want {
					t.Errorf("%s to %v: %d, want %d", s.ref.CallID, s.to, got, s.want)
				}
			}
			clock.pass(time.Hour) // an answered call lasts
			expect(t, m, "1007200001", request("out", on(device)))
			if s, live := m.State(out); !live || s != voip.StateActive {
				t.Errorf("out is %v, %v; want ACTIVE", s, live)
			}
			for _, to := range []voip.VoipCallState{voip.StateDisconnecting, voip.StateDisconnected} {
				if got := m.ReportCallStateChange(out, to); got != ok {
					t.Errorf("out to %v: %d", to, got)
				}
			}
			if _, live := m.State(out); live {
				t.Error("out lives on")
			}
			expect(t, m, "0/0", request("out", on(device)))
			if m.Answer(out) != bad || m.Disconnect(out) != ok {
				t.Error("a dialing call is not answered by the user, but can be hung up")
			}
			if s, live := m.State(in); live {
				t.Errorf("in is %v", s)
			}
			if len(m.lasting) != 0 {
				t.Errorf("%d devices are kept for ever", len(m.lasting))
			}
		})
	}
}

func TestRule9Avatar(t *testing.T) {
	for _, tt := range []struct {
		w, h int
		want bool
	}{{112, 112, true}, {221, 221, true}, {222, 100, false}, {100, 222, false}} {
		var got Event
		m, _ := newTest(t, Options{Observe: func(e Event) { got = e }})
		expect(t, m, "0/0", request("c", avatar(tt.w, tt.h)))
		if got.AvatarShown != tt.want {
			t.Errorf("%d × %d: shown %v", tt.w, tt.h, got.AvatarShown)
		}
	}
}

func TestRule10Down(t *testing.T) {
	m, _ := newTest(t, Options{})
	expect(t, m, "0/0", request("c", on("d"), under("c.r0.a1")))
	expect(t, m, "0/0", request("alone"))
	talking := Ref{DeviceID: "e", CallID: "talking"}
	expect(t, m, "0/0", request("talking", on("e")))
	m.ReportCallStateChange(talking, voip.StateActive)
	m.DialCellular("carrier")
	m.SetDown(true)
	expect(t, m, "0/0", request("c", on("d"), under("c.r0.a1"))) // the bridge keeps its keys
	expect(t, m, "1007200002", request("c", on("d"), under("c.r0.a2")))
	if code := m.Disconnect(talking); code != voip.CodeCannotConnect {
		t.Errorf("Disconnect says %d", code)
	}
	m.SetDown(false)
	if code := m.Disconnect(talking); code != voip.CodeInvalidValue {
		t.Errorf("a call survived the restart: %d", code)
	}
	expect(t, m, "0/0", request("c", on("d"), under("c.r0.a2"))) // nothing was kept of it
	expect(t, m, "0/0", request("alone"))
	expect(t, m, "0/1", request("x", on("carrier")))
}

func TestRule11Faults(t *testing.T) {
	tests := []struct {
		name    string
		fault   Fault
		arrival voip.Arrival
		then    string // the same key again, without the fault
	}{
		{"answer lost", Fault{Effect: LoseAnswer}, voip.MayHaveArrived, "0/0"},
		{"reset", Fault{Effect: Reset}, voip.MayHaveArrived, "0/0"},
		{"nobody there", Fault{Effect: NobodyThere}, voip.NotArrived, "0/0"},
		{"503", Fault{Effect: TurnAway, RetryAfter: time.Second}, voip.TurnedAway, "0/0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, _ := newTest(t, Options{})
			remove, err := m.Inject(tt.fault)
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Report(t.Context(), request("c", under("c.r0.a1")))
			e, ok := errors.AsType[*voip.ReportError](err)
			if !ok || e.Reason != voip.ReasonReportUnavailable || e.Arrival != tt.arrival || e.RetryAfter != tt.fault.RetryAfter {
				t.Fatalf("got %#v", err)
			}
			accepted := m.Stats().Accepted
			if lost := tt.fault.Effect == LoseAnswer; lost != (accepted == 1) {
				t.Errorf("%d accepted", accepted)
			}
			remove()
			expect(t, m, tt.then, request("c", under("c.r0.a1")))
			if m.Stats().Accepted != 1 {
				t.Errorf("accepted %d times", m.Stats().Accepted)
			}
		})
	}
}

func TestRule11Answers(t *testing.T) {
	m, _ := newTest(t, Options{})
	inject(t, m, Fault{CallID: "busy-*", Attempts: 2, Effect: AnswerWith, ErrorReason: voip.VoipCallExists})
	inject(t, m, Fault{DeviceID: "d", Effect: AnswerWith, Code: voip.CodeInternal})
	expect(t, m, "0/2", request("busy-1", attempt(1)))
	expect(t, m, "0/2", request("busy-1", attempt(2)))
	expect(t, m, "0/0", request("busy-1", attempt(3)))
	expect(t, m, "1007200003", request("c", on("d")))
	expect(t, m, "0/2", request("busy-2", on("d")))
	expect(t, m, "0/0", request("c"))

	for _, f := range []Fault{{CallID: "["}, {Share: 1.5}, {Effect: 99}} {
		if _, err := m.Inject(f); err == nil {
			t.Errorf("%+v was taken", f)
		}
	}
}

func TestRule11Share(t *testing.T) {
	m, _ := newTest(t, Options{})
	inject(t, m, Fault{Share: 0.25, Effect: AnswerWith, Code: voip.CodePermission})
	failed := 0
	for i := range 10_000 {
		id := fmt.Sprint("c-", i)
		first := said(t, m, request(id))
		if first == "201" {
			failed++
		}
		if again := said(t, m, request(id)); (again == "201") != (first == "201") {
			t.Fatalf("%s: %s, then %s: attempts of a call share its fate", id, first, again)
		}
	}
	if failed < 2300 || failed > 2700 {
		t.Errorf("%d of 10000 failed, want about 2500", failed)
	}
}

func TestRule11Latency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New(Options{})
		inject(t, m, Fault{Latency: Latency{P50: 2 * time.Second}})
		began := time.Now()
		expect(t, m, "0/0", request("c"))
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %v, want 2s", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.Report(ctx, request("late", under("late.r0.a1")))
		if e, ok := errors.AsType[*voip.ReportError](err); !ok || e.Arrival != voip.MayHaveArrived {
			t.Errorf("got %v, want an unknown outcome", err)
		}
		expect(t, m, "0/0", request("late", under("late.r0.a1")))
		if m.Stats().Accepted != 2 {
			t.Errorf("%d accepted, want 2: the late answer was given", m.Stats().Accepted)
		}
	})
}

func TestLatencyDistribution(t *testing.T) {
	l := Latency{P50: 10 * time.Millisecond, P99: 100 * time.Millisecond}
	over50, over99 := 0, 0
	const n = 20_000
	for range n {
		d := l.draw()
		if d > l.P50 {
			over50++
		}
		if d > l.P99 {
			over99++
		}
	}
	if over50 < n*45/100 || over50 > n*55/100 || over99 < n/250 || over99 > n*2/100 {
		t.Errorf("%d over the median, %d over the 99th percentile of %d", over50, over99, n)
	}
}

// TestBounded: what the model holds follows the last minutes, not all time.
func TestBounded(t *testing.T) {
	for _, named := range []bool{false, true} {
		t.Run(fmt.Sprint("named ", named), func(t *testing.T) {
			m, clock := newTest(t, Options{})
			before := heap()
			const rate, seconds = 50, 1000
			for i := range rate * seconds {
				id := strconv.Itoa(i)
				r := request(id, under(id+".r0.a1"))
				if named {
					r.DeviceID = id
				}
				expect(t, m, "0/0", r)
				clock.pass(time.Second / rate)
			}
			calls, keys := m.alone.len()+m.devices.len(), m.keys.len()
			if calls > rate*80 || keys > rate*400 {
				t.Errorf("%d calls and %d keys are held", calls, keys)
			}
			t.Logf("%d calls, %d keys: %d KiB", calls, keys, (heap()-before)/1024)
			runtime.KeepAlive(m)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

func inject(t *testing.T, m *Model, f Fault) {
	t.Helper()
	if _, err := m.Inject(f); err != nil {
		t.Fatal(err)
	}
}
