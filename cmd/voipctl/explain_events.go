package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

func (e *explainer) add(at time.Time, what, format string, args ...any) {
	e.events = append(e.events, event{at.UTC(), what, fmt.Sprintf(format, args...)})
}

func (e *explainer) push(m *cli.Entry) {
	body := redactBody(m.Body)
	if e.private {
		body = oneLine(m.Body)
	}
	what := "push stored"
	if n := m.Header.Get(voip.HeaderRedrives); n != "" {
		what = "redrive " + n + " stored"
	}
	e.add(m.At, what, "%s %d, %d bytes: %s", voip.StreamPush, m.Sequence, len(m.Body), body)
}

// oneLine is a push's body on one line, quoted where it is no JSON.
func oneLine(body []byte) string {
	var line bytes.Buffer
	if json.Compact(&line, body) != nil {
		return strconv.Quote(string(body))
	}
	return line.String()
}

// claimed is what a record says of its call. Only the last write of it is kept:
// the claim itself, or the delivery that took it over. What came later a result
// says better, when it is there.
func (e *explainer) claimed(r *callRecord) {
	untouched := r.Starts == 0 && !r.Clean && r.Progress.IsZero() && r.Decided == nil
	switch {
	case untouched && r.Deliveries <= 1:
		e.add(r.at, "claimed", "push %d, delivery %d, by %s", r.Sequence, r.Deliveries, r.Worker)
	case untouched:
		e.add(r.at, "delivered again", "push %d, delivery %d, taken over by %s", r.Sequence, r.Deliveries, r.Worker)
	case !e.pushes[r.Sequence]:
		e.attempts(r.Progress.Attempts)
		detail := fmt.Sprintf("push %d, delivery %d, by %s", r.Sequence, r.Deliveries, r.Worker)
		if r.Progress.Total > 0 {
			detail += fmt.Sprintf("; attempts so far: %d", r.Progress.Total)
		}
		if r.Starts > 0 {
			detail += fmt.Sprintf("; begun alone, and its worker lost: %d", r.Starts)
		}
		e.add(r.at, "held", "%s", detail)
	}
}

// avatar is ready when the first attempt begins; without one when all is over.
func (e *explainer) avatar(r *voip.Result) {
	a := r.Avatar
	if a == nil {
		return
	}
	at, detail := r.CompletedAt, cli.Avatar(a)
	if len(r.Attempts) > 0 {
		at = r.Attempts[0].At
	}
	if a.Bytes > 0 {
		detail += fmt.Sprintf(": %s %d×%d, %d bytes", a.ContentType, a.Width, a.Height, a.Bytes)
	}
	if s := a.Source; s != nil {
		detail += fmt.Sprintf(", from %s %d×%d, %d bytes", s.ContentType, s.Width, s.Height, s.Bytes)
	}
	if a.Cached {
		detail += ", out of the cache"
	}
	e.add(at, "avatar", "%s", detail)
}

func (e *explainer) attempts(all []voip.Attempt) {
	for i, a := range all {
		answer := "no answer"
		if a.Code != nil {
			answer = "code " + strconv.Itoa(int(*a.Code))
		}
		if a.ErrorReason != nil {
			answer += ", errorReason " + strconv.Itoa(int(*a.ErrorReason))
		}
		detail := fmt.Sprintf("%s (%s), took %.1f ms", a.Reason, answer, a.DurationMs)
		if i > 0 {
			detail += "; " + since(&all[i-1], &a)
		}
		e.add(a.At, "attempt "+strconv.Itoa(a.N), "%s", detail)
	}
}

// since is how long an attempt was waited for.
func since(before, a *voip.Attempt) string {
	if between := a.N - before.N - 1; between > 0 {
		return strconv.Itoa(between) + " in between are not kept"
	}
	ended := before.At.Add(time.Duration(before.DurationMs * float64(time.Millisecond)))
	return "waited " + a.At.Sub(ended).Round(time.Millisecond).String()
}

func (e *explainer) result(r *voip.Result, sequence uint64, stored time.Time) {
	e.avatar(r)
	e.attempts(r.Attempts)
	detail := fmt.Sprintf("%s, %s; claimed by push %d, delivery %d, %.1f ms from the push, by %s", r.Outcome, r.Reason,
		r.Push.Sequence, r.Push.Deliveries, r.LatencyMs, r.Worker)
	if r.DeadLettered { // which may have been redriven or purged since
		detail += ", kept as a dead letter"
	}
	if r.Message != "" {
		detail += ": " + r.Message
	}
	if !r.Push.ReceivedAt.IsZero() && !e.pushEvent(r.Push.Sequence) {
		e.add(r.Push.ReceivedAt, "push stored", "%s %d, no longer kept", voip.StreamPush, r.Push.Sequence)
	}
	e.add(r.CompletedAt, "decided", "%s", detail)
	e.add(stored, "result stored", "%s %d", voip.StreamResult, sequence)
}

// pushEvent says whether a push is on the timeline.
func (e *explainer) pushEvent(sequence uint64) bool {
	prefix := fmt.Sprintf("%s %d, ", voip.StreamPush, sequence)
	for _, ev := range e.events {
		if strings.HasPrefix(ev.Detail, prefix) {
			return true
		}
	}
	return false
}

func (e *explainer) dead(d *deadLetter) {
	e.add(d.StoredAt, "dead letter stored", "%s %d, %s, %s in stage %s, %d redrives: %s", voip.StreamDLQ, d.Sequence, d.Reason, d.Class, d.Stage, d.Redrives, d.Error)
}
