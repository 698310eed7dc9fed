//go:build !production

package main

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/voip"
)

// connections is the service of the connection step. The scenario's file
// `connect` has its answers, a line each: CALLID ANSWER, in their order; the
// last one of a call is given again.
type connections struct {
	mu      sync.Mutex
	answers map[string][]string
	asked   []arrived
}

func (r *rig) serveConnections() {
	r.t.Helper()
	if r.cfg.Connect.Subject == "" {
		return
	}
	r.connects.answers = map[string][]string{}
	for _, line := range r.s.lines("connect") {
		id, answer, _ := strings.Cut(line, " ")
		r.connects.answers[id] = append(r.connects.answers[id], answer)
	}
	nc := r.broker.Conn(r.t)
	_, err := nc.Subscribe(r.cfg.Connect.Subject, func(msg *nats.Msg) {
		if err := msg.Respond([]byte(r.connects.answer(msg))); err != nil {
			r.t.Error(err)
		}
	})
	if err == nil {
		err = nc.Flush()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (c *connections) answer(msg *nats.Msg) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, arrived{body: msg.Data, key: msg.Header.Get(voip.HeaderIdempotencyKey), trace: msg.Header.Get(voip.HeaderTraceparent)})
	id := callOf(msg.Data)
	answers := c.answers[id]
	if len(answers) == 0 {
		return "nobody knows this call"
	}
	if len(answers) > 1 {
		c.answers[id] = answers[1:]
	}
	return answers[0]
}

// count is how often a call was asked about.
func (c *connections) count(callID string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.asked {
		if callOf(a.body) == callID {
			n++
		}
	}
	return n
}

func callOf(question []byte) string {
	var q struct {
		CallID string `json:"callId"`
	}
	_ = json.Unmarshal(question, &q) // the schema says what is wrong with it
	return q.CallID
}

// questionLines are the questions of the connection step with their keys, in the
// order of their calls' pushes.
func (o *outcome) questionLines(t *testing.T) string {
	t.Helper()
	place := func(a arrived) int {
		return slices.IndexFunc(o.calls, func(ref callRef) bool { return ref.id == callOf(a.body) })
	}
	asked := slices.Clone(o.connects.asked)
	slices.SortStableFunc(asked, func(a, b arrived) int { return place(a) - place(b) })
	s, err := contractSchemas()
	if err != nil {
		t.Fatal(err)
	}
	var lines []any
	for _, a := range asked {
		s.check(t, "connect-request", a.body)
		body := tree(t, a.body, new(any))
		at := stamp(t, body["expiresAt"].(string)) //nolint:errcheck,forcetypeassert // the schema has it
		body["expiresAt"] = o.deadline(&at, o.pushOf(callOf(a.body)))
		lines = append(lines, map[string]any{"key": a.key, "body": body})
	}
	return jsonLines(t, lines)
}
