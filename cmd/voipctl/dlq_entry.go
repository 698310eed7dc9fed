package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// deadLetter is what a dead letter's headers say.
type deadLetter struct {
	Sequence       uint64    `json:"sequence"`
	CallID         string    `json:"callId"`
	Reason         string    `json:"reason"`
	Class          string    `json:"class"`
	Stage          string    `json:"stage"`
	Error          string    `json:"error"`
	Attempts       int       `json:"attempts"`
	Redrives       int       `json:"redrives"`
	OriginSequence uint64    `json:"originSequence"`
	FailedAt       time.Time `json:"failedAt,omitzero"`
	ExpiresAt      time.Time `json:"expiresAt,omitzero"` // zero: not known
	Worker         string    `json:"worker"`
	StoredAt       time.Time `json:"storedAt"`
}

func newDeadLetter(sequence uint64, subject string, h nats.Header, at time.Time) deadLetter {
	reason, _, _ := strings.Cut(strings.TrimPrefix(subject, voip.DLQPrefix), ".")
	return deadLetter{
		Sequence: sequence, CallID: h.Get(voip.HeaderCallID), Reason: reason, Class: h.Get(voip.HeaderClass),
		Stage: h.Get(voip.HeaderStage), Error: h.Get(voip.HeaderError), Attempts: count(h, voip.HeaderAttempts),
		Redrives: count(h, voip.HeaderRedrives), OriginSequence: originOf(h), FailedAt: stamp(h, voip.HeaderFailedAt),
		ExpiresAt: stamp(h, voip.HeaderExpiresAt), Worker: h.Get(voip.HeaderWorker), StoredAt: at.UTC(),
	}
}

func count(h nats.Header, key string) int {
	n, err := strconv.Atoi(h.Get(key))
	if err != nil {
		return 0
	}
	return n
}

func stamp(h nats.Header, key string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, h.Get(key))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

const maxErrorShown = 60

func deadLetterColumns() []string {
	return []string{"SEQUENCE", "CALL", "REASON", "CLASS", "STAGE", "ATTEMPTS", "REDRIVES", "FAILED AT", "DEADLINE", "ERROR"}
}

func (d *deadLetter) row() []string {
	text := []rune(d.Error)
	if len(text) > maxErrorShown {
		text = append(text[:maxErrorShown-1], '…')
	}
	return []string{
		strconv.FormatUint(d.Sequence, 10), or(d.CallID), d.Reason, or(d.Class), or(d.Stage), strconv.Itoa(d.Attempts),
		strconv.Itoa(d.Redrives), cli.Clock(d.FailedAt), cli.Clock(d.ExpiresAt), or(string(text)),
	}
}
