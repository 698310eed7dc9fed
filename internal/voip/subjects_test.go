package voip_test

import (
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/voip-push/worker/internal/voip"
)

func TestToken(t *testing.T) {
	all := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
	tests := []struct{ id, want string }{
		{"", "_"},
		{"c-1", "c-1"},
		{all, all},
		{"_", "_"},
		{"a.b", "=YS5i"},
		{"a b", "=YSBi"},
		{"*", "=Kg"},
		{">", "=Pg"},
		{"=", "=PQ"},
		{"=YS5i", "=PVlTNWk"},
		{"$", "=JA"},
		{"a/b", "=YS9i"},
		{"李雷", "=5p2O6Zu3"},
		{"\xfb\xff", "=-_8"}, // where the two base64 alphabets differ
	}
	for _, tt := range tests {
		if got := voip.Token(tt.id); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.id, got, tt.want)
		}
	}
}

// Keys and ids as the contract spells them.
func TestNames(t *testing.T) {
	tests := []struct{ name, got, want string }{
		{"dead letter", voip.DeadLetterSubject(voip.ReasonCrashLoop, "c-1"), "voip.dlq.CRASH_LOOP.c-1"},
		{"dead letter of a callId that subjects cannot carry", voip.DeadLetterSubject(voip.ReasonExpired, "a.b"), "voip.dlq.EXPIRED.=YS5i"},
		{"dead letter without a callId", voip.DeadLetterSubject(voip.ReasonMalformedPush, ""), "voip.dlq.MALFORMED_PUSH._"},
		{"result's id", voip.ResultMsgID(12), "res:VOIP_PUSH:12"},
		{"result's id at the end of sequences", voip.ResultMsgID(1<<64 - 1), "res:VOIP_PUSH:18446744073709551615"},
		{"dead letter's id", voip.DeadLetterMsgID(12), "dlq:VOIP_PUSH:12"},
		{"record", voip.RecordKey("c-1", voip.Redrive{}), "c-1"},
		{"record of another callId", voip.RecordKey("a.b", voip.Redrive{}), "=YS5i"},
		{"record of a redrive", voip.RecordKey("c-1", voip.Redrive{Count: 2, Origin: 12}), "c-1.12.r2"},
		{"record of no redrive", voip.RecordKey("c-1", voip.Redrive{Origin: 12}), "c-1"},
		{"idempotency key", voip.IdempotencyKey("c-1", 0, 1), "c-1.r0.a1"},
		{"idempotency key of a redrive", voip.IdempotencyKey("a.b", 2, 13), "=YS5i.r2.a13"},
		{"stream of pushes", voip.StreamPush + " " + voip.SubjectPush, "VOIP_PUSH voip.push"},
		{"stream of results", voip.StreamResult + " " + voip.SubjectResult, "VOIP_RESULT voip.report.result"},
		{"stream of dead letters", voip.StreamDLQ + " " + voip.DLQPrefix, "VOIP_DLQ voip.dlq."},
		{"stream of cancels", voip.StreamCancel + " " + voip.SubjectCancel, "VOIP_CANCEL voip.cancel"},
		{"bucket", voip.BucketCalls, "VOIP_CALLS"},
		{"consumer", voip.ConsumerWorkers, "voip-workers"},
		{"report", voip.SubjectReport, "voip.callkit.report"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestHeaderNames(t *testing.T) {
	got := []string{
		voip.HeaderMsgID, voip.HeaderRollup, voip.HeaderTraceparent, voip.HeaderTracestate, voip.HeaderCallID, voip.HeaderOutcome, voip.HeaderReason,
		voip.HeaderClass, voip.HeaderError, voip.HeaderStage, voip.HeaderAttempts, voip.HeaderFirstSeen, voip.HeaderFailedAt, voip.HeaderExpiresAt,
		voip.HeaderWorker, voip.HeaderOriginStream, voip.HeaderOriginSubject, voip.HeaderOriginSequence, voip.HeaderOriginMsgID, voip.HeaderRedrives,
		voip.HeaderIdempotencyKey,
	}
	const want = "Nats-Msg-Id Nats-Rollup traceparent tracestate Voip-Call-Id Voip-Outcome Voip-Reason Voip-Class Voip-Error Voip-Stage Voip-Attempts " +
		"Voip-First-Seen Voip-Failed-At Voip-Expires-At Voip-Worker Voip-Origin-Stream Voip-Origin-Subject Voip-Origin-Sequence Voip-Origin-Msg-Id " +
		"Voip-Redrives Idempotency-Key"
	if got := strings.Join(got, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

var (
	subjectToken = regexp.MustCompile(`^=?[A-Za-z0-9_-]+$`)
	bucketKey    = regexp.MustCompile(`^[-/_=.a-zA-Z0-9]+$`) // nats.go's own rule
)

// A token is one element of a subject, a key of the bucket, and gives the
// callId back: no two callIds share one.
func FuzzToken(f *testing.F) {
	for _, id := range []string{"", "c-1", "_", "=", "=YS5i", "a.b", "李雷", "a b", "*", ">", "$", strings.Repeat("é", 64)} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		token := voip.Token(id)
		if !subjectToken.MatchString(token) || !bucketKey.MatchString(token) {
			t.Fatalf("%q has the token %q", id, token)
		}
		if id == "" { // counts as none; the callId "_" has the same token, and the contract says so
			return
		}
		back := token
		if encoded, is := strings.CutPrefix(token, "="); is {
			b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
			if err != nil {
				t.Fatal(err)
			}
			back = string(b)
		}
		if back != id {
			t.Fatalf("%q has the token %q, which is that of %q", id, token, back)
		}
	})
}
