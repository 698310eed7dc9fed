//go:build !production

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/voip"
)

// demoCase is one push of the demo and what must become of it.
type demoCase struct {
	name   string
	body   string // %s is the callId
	header nats.Header
	twice  bool // the same push again
	cancel bool // cancelled after its first attempt
	down   bool // sent while Call Kit is down
	faults []callkit.Fault

	outcome  voip.Outcome
	reason   voip.Reason
	attempts int // at least
	avatar   voip.AvatarStatus
	why      voip.AvatarReason
	over     bool
	dead     voip.Reason // of the dead letter; empty: none
	noResult bool
}

func (c *demoCase) id() string {
	if c.noResult {
		return ""
	}
	return strings.ReplaceAll(c.name, " ", "-")
}

// dies says that the case ends as a dead letter.
func (c demoCase) dies(reason voip.Reason, attempts int) demoCase {
	c.outcome, c.reason, c.dead, c.attempts = voip.Failed, reason, reason, attempts
	return c
}

// rings says that the case ends reported.
func (c demoCase) rings(attempts int) demoCase {
	c.outcome, c.reason, c.attempts = voip.Reported, voip.ReasonNone, attempts
	if c.avatar == "" {
		c.avatar = voip.AvatarNone
	}
	return c
}

func answers(reason voip.ErrorReason, attempts int) []callkit.Fault {
	return []callkit.Fault{{Effect: callkit.AnswerWith, ErrorReason: reason, Attempts: attempts}}
}

const unknownReason voip.ErrorReason = 77

// demoCases is one push of every kind.
func demoCases(pictures string) []demoCase {
	with := func(picture string) string {
		return `{"callId":"%s","data":{"userName":"Li Lei","avatar":"` + pictures + picture + `"}}`
	}
	const plain = `{"callId":"%s","data":{"userName":"Li Lei"}}`
	past := nats.Header{voip.HeaderExpiresAt: {time.Now().Add(-time.Minute).Format(time.RFC3339)}}
	return []demoCase{
		demoCase{name: "voice", body: with("/face.jpg"), avatar: voip.AvatarOK}.rings(1),
		demoCase{name: "video", body: `{"callId":"%s","data":"{\"userName\":\"Han Meimei\",\"scene\":\"video\"}"}`}.rings(1),
		demoCase{name: "incoming", body: `{"callId":"%s","data":{"userName":"Li Lei","direction":"incoming"}}`}.rings(1),
		demoCase{name: "PushPayload verbatim", body: `{"data":"{\"data\":\"{\\\"userName\\\":\\\"Li Lei\\\"}\",\"callId\":\"%s\"}"}`}.rings(1),
		demoCase{name: "opaque data", body: `{"callId":"%s","data":"bm90IGpzb24="}`}.rings(1),
		demoCase{name: "oversize picture", body: with("/large.jpg"), avatar: voip.AvatarOK, over: true}.rings(1),
		demoCase{name: "hostile picture", body: with("/bomb.png"), avatar: voip.AvatarFallback, why: voip.AvatarBadDimensions}.rings(1),
		demoCase{name: "missing picture", body: with("/none.jpg"), avatar: voip.AvatarFallback, why: voip.AvatarNotFound}.rings(1),
		demoCase{name: "busy then free", body: plain, faults: answers(voip.CellularCallExists, 2)}.rings(3),
		demoCase{name: "busy for good", body: plain, avatar: voip.AvatarNone, faults: answers(voip.VoipCallExists, 0)}.dies(voip.ReasonVoipCallExists, 5),
		demoCase{name: "invalid call", body: plain, avatar: voip.AvatarNone, faults: answers(voip.InvalidCall, 0)}.dies(voip.ReasonInvalidCall, 1),
		demoCase{name: "answered cellular", body: plain, avatar: voip.AvatarNone, faults: answers(voip.UserAnswerCellularFirst, 0)}.dies(voip.ReasonUserAnswerCellularFirst, 1),
		demoCase{name: "unknown reason", body: plain, avatar: voip.AvatarNone, faults: answers(unknownReason, 0)}.dies(voip.ReasonUnknownErrorReason, 1),
		demoCase{name: "malformed body", body: "not a push", noResult: true}.dies(voip.ReasonMalformedPush, 0),
		demoCase{name: "bad field", body: `{"callId":"%s","data":{"density":9}}`}.dies(voip.ReasonInvalidAttribute, 0),
		demoCase{name: "duplicate push", body: plain, twice: true}.rings(1),
		{
			name: "cancelled", body: plain, cancel: true, faults: answers(voip.CellularCallExists, 0),
			outcome: voip.Cancelled, reason: voip.ReasonCancelled, attempts: 1, avatar: voip.AvatarNone,
		},
		{name: "expired", body: plain, header: past, outcome: voip.Expired, reason: voip.ReasonExpired},
		demoCase{name: "Call Kit down then up", body: plain, down: true}.rings(2),
	}
}

// injectFaults makes the model answer as the cases need it.
func (b *bench) injectFaults() error {
	b.attempted = map[string]chan struct{}{}
	for i := range b.cases {
		c := &b.cases[i]
		b.attempted[c.id()] = make(chan struct{})
		for _, f := range c.faults {
			f.CallID = c.id()
			if _, err := b.model.Inject(f); err != nil {
				return fmt.Errorf("set up %s: %w", c.name, err)
			}
		}
	}
	return nil
}

// observe is told of every request that the model answers.
func (b *bench) observe(e callkit.Event) {
	if e.Attempt == 1 {
		close(b.attempted[e.CallID])
	}
}

// send publishes a case's push as a gateway does, and does what else the case
// is about.
func (b *bench) send(ctx context.Context, js jetstream.JetStream, c *demoCase) error {
	if c.down {
		b.model.SetDown(true)
	}
	body := []byte(strings.Replace(c.body, "%s", c.id(), 1))
	copies := 1
	if c.twice {
		copies = 2
	}
	for range copies {
		msg := &nats.Msg{Subject: voip.SubjectPush, Data: body, Header: c.header}
		if _, err := js.PublishMsg(ctx, msg); err != nil {
			return fmt.Errorf("send %s: %w", c.name, err)
		}
	}
	if !c.cancel && !c.down {
		return nil
	}
	select {
	case <-b.attempted[c.id()]:
	case <-ctx.Done():
		return fmt.Errorf("%s was never attempted: %w", c.name, context.Cause(ctx))
	}
	if c.down {
		b.model.SetDown(false)
		return nil
	}
	cancel, err := json.Marshal(map[string]string{"callId": c.id()})
	if err != nil {
		return err
	}
	if _, err := js.Publish(ctx, voip.SubjectCancel, cancel); err != nil {
		return fmt.Errorf("cancel %s: %w", c.name, err)
	}
	return nil
}

// summary compares every case with what came back.
func (b *bench) summary(began time.Time) error {
	var wrong []error
	for i := range b.cases {
		if err := b.differs(&b.cases[i]); err != nil {
			wrong = append(wrong, err)
		}
	}
	fmt.Fprintf(b.out, "\n%d of %d cases as expected, %d results, %d dead letters, %.1f s\n",
		len(b.cases)-len(wrong), len(b.cases), len(b.results), len(b.dead), time.Since(began).Seconds())
	return errors.Join(wrong...)
}

// differs says how a case's outcome is not the expected one.
func (b *bench) differs(c *demoCase) error {
	if got := b.dead[c.id()]; got != string(c.dead) {
		return fmt.Errorf("%s: the dead letter says %q, want %q", c.name, got, c.dead)
	}
	if c.noResult {
		return nil
	}
	results := b.results[c.id()]
	if len(results) != 1 {
		return fmt.Errorf("%s: %d results, want 1", c.name, len(results))
	}
	r := &results[0]
	var status voip.AvatarStatus
	var why voip.AvatarReason
	over := false
	if r.Avatar != nil {
		status, why = r.Avatar.Status, r.Avatar.Reason
		over = r.Avatar.Source != nil && r.Avatar.Source.OverLimit
	}
	switch {
	case r.Outcome != c.outcome || r.Reason != c.reason:
		return fmt.Errorf("%s: %s %s, want %s %s", c.name, r.Outcome, r.Reason, c.outcome, c.reason)
	case r.AttemptsTotal < c.attempts:
		return fmt.Errorf("%s: %d attempts, want at least %d", c.name, r.AttemptsTotal, c.attempts)
	case status != c.avatar || why != c.why || over != c.over:
		return fmt.Errorf("%s: avatar %q %q (over limit: %t), want %q %q (%t)", c.name, status, why, over, c.avatar, c.why, c.over)
	case r.DeadLettered != (c.dead != ""):
		return fmt.Errorf("%s: deadLettered is %t", c.name, r.DeadLettered)
	}
	return nil
}
