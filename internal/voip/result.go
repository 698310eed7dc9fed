package voip

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
)

// ResultSchema names the version of Result on the wire.
const ResultSchema = "voip.report.result/v1"

// AvatarStatus says which picture was sent.
type AvatarStatus string

// The statuses of an avatar.
const (
	AvatarOK       AvatarStatus = "ok"       // the caller's own
	AvatarFallback AvatarStatus = "fallback" // the default: there was one, and it failed
	AvatarNone     AvatarStatus = "none"     // the default: none was given
)

// AvatarReason says why an avatar failed.
type AvatarReason string

// The reasons of a failed avatar.
const (
	AvatarTooLarge         AvatarReason = "too_large"
	AvatarUnsupportedType  AvatarReason = "unsupported_type"
	AvatarNotAnImage       AvatarReason = "not_an_image" // right signature, cannot be decoded
	AvatarBadDimensions    AvatarReason = "bad_dimensions"
	AvatarTooManyScans     AvatarReason = "too_many_scans"
	AvatarForbiddenAddress AvatarReason = "forbidden_address"
	AvatarForbiddenURL     AvatarReason = "forbidden_url"
	AvatarNotFound         AvatarReason = "not_found" // 404, 410, or no such resource
	AvatarHTTPStatus       AvatarReason = "http_status"
	AvatarTimeout          AvatarReason = "timeout"
	AvatarUnreachable      AvatarReason = "unreachable"
	AvatarTooManyRedirects AvatarReason = "too_many_redirects"
	AvatarInternal         AvatarReason = "internal"
)

// AvatarReasons are all reasons of a failed avatar, in the contract's order.
func AvatarReasons() []AvatarReason {
	return []AvatarReason{
		AvatarTooLarge, AvatarUnsupportedType, AvatarNotAnImage, AvatarBadDimensions, AvatarTooManyScans,
		AvatarForbiddenAddress, AvatarForbiddenURL, AvatarNotFound, AvatarHTTPStatus, AvatarTimeout,
		AvatarUnreachable, AvatarTooManyRedirects, AvatarInternal,
	}
}

// AvatarResult is what the result says of the picture that was sent.
type AvatarResult struct {
	Status      AvatarStatus  `json:"status"`
	Reason      AvatarReason  `json:"reason"`
	ContentType string        `json:"contentType"`
	Width       int           `json:"width"`
	Height      int           `json:"height"`
	Bytes       int           `json:"bytes"`
	Source      *AvatarSource `json:"source"` // nil: none was read
	Cached      bool          `json:"cached"`
}

// AvatarSource is the picture as it was fetched.
type AvatarSource struct {
	ContentType string `json:"contentType"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Bytes       int    `json:"bytes"`
	OverLimit   bool   `json:"overLimit"` // over AVATAR_MAX_BYTES
}

// Attempt is one report attempt. ErrorReason and Code are nil when Call Kit
// did not answer it, ErrorReason also when it answered with a code.
type Attempt struct {
	N           int          `json:"n"`
	At          time.Time    `json:"at"`
	DurationMs  float64      `json:"durationMs"`
	Reason      Reason       `json:"reason"`
	ErrorReason *ErrorReason `json:"errorReason"`
	Code        *Code        `json:"code"`
}

// PushRef says where the push lies in its stream. ReceivedAt is the broker's
// timestamp of it.
type PushRef struct {
	Stream     string    `json:"stream"`
	Sequence   uint64    `json:"sequence"`
	Deliveries uint64    `json:"deliveries"`
	ReceivedAt time.Time `json:"receivedAt"`
}

// Result is what became of a call: the message on voip.report.result. What is
// not known is null.
type Result struct {
	Schema        string        `json:"schema"`
	CallID        string        `json:"callId"`
	Outcome       Outcome       `json:"outcome"`
	Reason        Reason        `json:"reason"`
	ErrorReason   *ErrorReason  `json:"errorReason"`
	Code          *Code         `json:"code"`
	Inferred      bool          `json:"inferred"`
	Message       string        `json:"message"`
	Attempts      []Attempt     `json:"attempts"`
	AttemptsTotal int           `json:"attemptsTotal"`
	Avatar        *AvatarResult `json:"avatar"`
	DeadLettered  bool          `json:"deadLettered"`
	Direction     *Direction    `json:"direction"`
	VoipCallType  *VoipCallType `json:"voipCallType"`
	Push          PushRef       `json:"push"`
	ExpiresAt     *time.Time    `json:"expiresAt"`
	CompletedAt   time.Time     `json:"completedAt"`
	LatencyMs     float64       `json:"latencyMs"`
	Worker        string        `json:"worker"`
	Redrives      int           `json:"redrives"`
}

// DecodeResult reads a message of voip.report.result.
func DecodeResult(b []byte) (r Result, err error) {
	if err := json.Unmarshal(b, &r); err != nil {
		return Result{}, fmt.Errorf("a result of %d bytes cannot be read: %w", len(b), err)
	}
	return r, nil
}

// Decide sets what follows from how the call ended: nil is success. This is
// the one place where an error becomes a reason on the wire.
func (r *Result) Decide(err error) {
	rule := ReasonOf(err).Rule()
	r.Schema, r.Reason, r.Outcome = ResultSchema, rule.Reason, rule.Outcome
	r.DeadLettered = rule.Class != ""
	r.Message = ""
	if err != nil {
		r.Message = err.Error()
	}
}

// Complete stamps the result with the time at which the call was decided.
func (r *Result) Complete(at time.Time) {
	r.CompletedAt = at.UTC()
	r.LatencyMs = Millis(at.Sub(r.Push.ReceivedAt))
}

// ReasonOf is the machine reason of an error that ended a call. ErrStopping
// and ErrLeaseLost end none and must not be asked for.
func ReasonOf(err error) Reason {
	if err == nil {
		return ReasonNone
	}
	if e, ok := errors.AsType[*ReportError](err); ok {
		return e.Reason
	}
	if _, ok := errors.AsType[*MalformedPushError](err); ok {
		return ReasonMalformedPush
	}
	if _, ok := errors.AsType[*InvalidAttributeError](err); ok {
		return ReasonInvalidAttribute
	}
	if _, ok := errors.AsType[*AvatarError](err); ok {
		return ReasonAvatarRejected
	}
	switch {
	case errors.Is(err, ErrExpired):
		return ReasonExpired
	case errors.Is(err, ErrCancelled):
		return ReasonCancelled
	case errors.Is(err, ErrCrashLoop):
		return ReasonCrashLoop
	default: // a defect of ours (a recovered panic): the push's own failure
		return ReasonUnknownErrorReason
	}
}

// Millis is a duration in milliseconds with three decimals, never negative:
// clocks of different machines may disagree.
func Millis(d time.Duration) float64 {
	return math.Max(0, math.Round(float64(d)/1e3)/1e3)
}
