package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
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

// held is what a record says of a push whose result is not there yet; a result
// says it better.
func (e *explainer) held(r *callRecord) {
	if e.pushes[r.Sequence] {
		return
	}
	e.attempts(r.Progress.Attempts)
	e.add(r.at, "held", "push %d by %s, delivery %d, %d attempts so far, begun alone %d times", r.Sequence, r.Worker, r.Deliveries, r.Progress.Total, r.Starts)
}

func (e *explainer) attempts(all []voip.Attempt) {
	for _, a := range all {
		answer := "no answer"
		if a.Code != nil {
			answer = "code " + strconv.Itoa(int(*a.Code))
		}
		if a.ErrorReason != nil {
			answer += ", errorReason " + strconv.Itoa(int(*a.ErrorReason))
		}
		e.add(a.At, "attempt "+strconv.Itoa(a.N), "%s (%s) after %.1f ms", a.Reason, answer, a.DurationMs)
	}
}

func (e *explainer) result(r *voip.Result, sequence uint64, stored time.Time) {
	e.attempts(r.Attempts)
	detail := fmt.Sprintf("%s, %s; push %d, delivery %d, avatar %s, %.1f ms from the push, by %s", r.Outcome, r.Reason,
		r.Push.Sequence, r.Push.Deliveries, cli.Avatar(r.Avatar), r.LatencyMs, r.Worker)
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

const scanLine = 5 * time.Second

// newScanProgress prints a line now and then while streams are read.
func newScanProgress(w io.Writer) func(stream string, sequence uint64) {
	next := time.Now().Add(scanLine)
	return func(stream string, sequence uint64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(scanLine)
			fmt.Fprintf(w, "reading %s, at %d\n", stream, sequence)
		}
	}
}
