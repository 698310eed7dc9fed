package voip

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// maxShownValue bounds what of a bad value an error repeats, in bytes.
const maxShownValue = 40

// The ends of a call that are no stage's failure.
var (
	// ErrExpired: the deadline passed before the first attempt.
	ErrExpired = errors.New("the deadline passed before the first attempt")
	// ErrCancelled: a cancel for the callId arrived.
	ErrCancelled = errors.New("the call was cancelled")
	// ErrCrashLoop: the push was begun alone as often as is allowed, and its
	// worker died each time.
	ErrCrashLoop = errors.New("its worker died each time that it was begun alone")
	// ErrStopping: the worker stops. No result follows from it: the push is
	// given back.
	ErrStopping = errors.New("the worker is stopping")
	// ErrLeaseLost: the broker may have given the push to another worker. No
	// result follows from it: this worker stays silent.
	ErrLeaseLost = errors.New("the lease on the push was lost")
)

// MalformedPushError says why a body is no push (MALFORMED_PUSH).
type MalformedPushError struct{ Detail string }

func (e *MalformedPushError) Error() string { return "malformed push: " + e.Detail }

// InvalidAttributeError names every field of data that is of a wrong type or
// out of its range (INVALID_ATTRIBUTE).
type InvalidAttributeError struct{ Fields []FieldError }

// FieldError is one field of data that cannot be used.
type FieldError struct {
	Field string
	Got   string // the value, or only its kind where it is private
	Want  string
}

func (e *FieldError) Error() string { return e.Field + " is " + e.Got + ", want " + e.Want }

func (e *InvalidAttributeError) Error() string {
	parts := make([]string, len(e.Fields))
	for i := range e.Fields {
		parts[i] = e.Fields[i].Error()
	}
	return "invalid attribute: " + strings.Join(parts, "; ")
}

// AvatarError says why an avatar cannot be used. It never holds the URL.
type AvatarError struct {
	Reason AvatarReason
	Detail string // for people; may be empty
}

func (e *AvatarError) Error() string {
	if e.Detail == "" {
		return "avatar: " + string(e.Reason)
	}
	return "avatar: " + string(e.Reason) + ": " + e.Detail
}

// Arrival is what is known of whether an attempt reached Call Kit, and of its
// answer. It decides the idempotency key of the next attempt.
type Arrival int

// The kinds of arrival.
const (
	// NotArrived: nobody was there (refused, no responders). The key stays.
	NotArrived Arrival = iota
	// MayHaveArrived: a timeout, a reset, HTTP 408, 500, 502, 504. The key stays.
	MayHaveArrived
	// TurnedAway: an answer that the far side does not keep (HTTP 503). The key
	// is used up, unless an earlier attempt under it may have arrived.
	TurnedAway
	// Answered: the key is used up.
	Answered
)

// ReportError is a report attempt, or a connection step, that did not succeed.
type ReportError struct {
	Reason Reason
	// Answer is Call Kit's answer; nil when there was none.
	Answer  *Answer
	Arrival Arrival
	// Duplicate says that the far side had this call already, in whatever way
	// its transport says so (HTTP 409; an answer says it itself).
	Duplicate bool
	// Busy says that the far side is there and takes no more just now (HTTP 425,
	// 429): nothing is wrong with it, or with the fleet.
	Busy bool
	// RetryAfter is how long the far side asked to be left alone; 0: it did not.
	RetryAfter time.Duration
	Detail     string // for people; never what the far side sent
}

func (e *ReportError) Error() string {
	if e.Detail == "" {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Detail
}

// clip cuts s to what an error shows of a value, without breaking a character,
// and says so.
func clip(s string) string {
	n := maxShownValue
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
