package voip

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// Streams, the bucket and the consumer.
const (
	StreamPush      = "VOIP_PUSH"
	StreamResult    = "VOIP_RESULT"
	StreamDLQ       = "VOIP_DLQ"
	StreamCancel    = "VOIP_CANCEL"
	BucketCalls     = "VOIP_CALLS"
	ConsumerWorkers = "voip-workers"
)

// Subjects.
const (
	SubjectPush   = "voip.push"
	SubjectResult = "voip.report.result"
	SubjectCancel = "voip.cancel"
	SubjectReport = "voip.callkit.report"
	// DLQPrefix is what every dead letter's subject begins with:
	// voip.dlq.<REASON>.<TOKEN>.
	DLQPrefix = "voip.dlq."
)

// StreamOf is the stream that stores what is sent to a subject without wildcards;
// empty: none of ours does.
func StreamOf(subject string) string {
	switch {
	case subject == SubjectPush:
		return StreamPush
	case subject == SubjectResult:
		return StreamResult
	case subject == SubjectCancel:
		return StreamCancel
	case strings.HasPrefix(subject, DLQPrefix):
		return StreamDLQ
	case strings.HasPrefix(subject, "$KV."+BucketCalls+"."):
		return "KV_" + BucketCalls
	}
	return ""
}

// Headers of pushes, results and dead letters.
const (
	HeaderMsgID          = "Nats-Msg-Id"
	HeaderRollup         = "Nats-Rollup"
	HeaderTraceparent    = "traceparent"
	HeaderTracestate     = "tracestate"
	HeaderCallID         = "Voip-Call-Id"
	HeaderOutcome        = "Voip-Outcome"
	HeaderReason         = "Voip-Reason"
	HeaderClass          = "Voip-Class"
	HeaderError          = "Voip-Error"
	HeaderStage          = "Voip-Stage"
	HeaderAttempts       = "Voip-Attempts"
	HeaderFirstSeen      = "Voip-First-Seen"
	HeaderFailedAt       = "Voip-Failed-At"
	HeaderExpiresAt      = "Voip-Expires-At"
	HeaderWorker         = "Voip-Worker"
	HeaderOriginStream   = "Voip-Origin-Stream"
	HeaderOriginSubject  = "Voip-Origin-Subject"
	HeaderOriginSequence = "Voip-Origin-Sequence"
	HeaderOriginMsgID    = "Voip-Origin-Msg-Id"
	HeaderRedrives       = "Voip-Redrives"
	HeaderIdempotencyKey = "Idempotency-Key"
)

// Token is a callId in the form that subjects, bucket keys and idempotency
// keys can carry: the callId itself when it is made of A-Z a-z 0-9 _ - alone,
// else "=" and its unpadded base64url; "_" when there is no callId.
func Token(callID string) string {
	if callID == "" {
		return "_"
	}
	for i := range len(callID) {
		if !plainTokenByte(callID[i]) {
			return "=" + base64.RawURLEncoding.EncodeToString([]byte(callID))
		}
	}
	return callID
}

func plainTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// DeadLetterSubject is the subject of the dead letter of a call that failed
// for a reason; callID may be empty.
func DeadLetterSubject(r Reason, callID string) string {
	return DLQPrefix + string(r) + "." + Token(callID)
}

// ResultMsgID is the Nats-Msg-Id of the result of the push with that stream
// sequence: what makes publishing it repeatable, and its presence askable.
func ResultMsgID(sequence uint64) string {
	return "res:" + StreamPush + ":" + strconv.FormatUint(sequence, 10)
}

// DeadLetterMsgID is the Nats-Msg-Id of the dead letter of the push with that
// stream sequence.
func DeadLetterMsgID(sequence uint64) string {
	return "dlq:" + StreamPush + ":" + strconv.FormatUint(sequence, 10)
}

// RecordKey is the key of a call's record in the bucket. A redriven push
// (redrive not zero) is claimed as its own.
func RecordKey(callID string, redrive Redrive) string {
	if redrive.Count == 0 {
		return Token(callID)
	}
	return Token(callID) + "." + strconv.FormatUint(redrive.Origin, 10) + ".r" + strconv.Itoa(redrive.Count)
}

// IdempotencyKey is the key of a report attempt: <TOKEN>.r<redrives>.a<n>. n
// grows only after an attempt whose answer is known, so that a repeated
// attempt of unknown outcome can be recognized by the far side.
func IdempotencyKey(callID string, redrives, n int) string {
	return Token(callID) + ".r" + strconv.Itoa(redrives) + ".a" + strconv.Itoa(n)
}
