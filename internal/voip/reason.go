package voip

import (
	"slices"
	"strconv"
)

// ErrorReason is Call Kit's voipCall.ErrorReason: what the promise of
// reportOutgoingCall resolves with.
type ErrorReason int

// The documented values of ErrorReason.
const (
	ErrorNone               ErrorReason = 0
	CellularCallExists      ErrorReason = 1
	VoipCallExists          ErrorReason = 2
	InvalidCall             ErrorReason = 3
	UserAnswerCellularFirst ErrorReason = 4
)

// String is the documented name; an unknown value is shown with its number.
func (e ErrorReason) String() string {
	if r := e.Reason(); r != ReasonUnknownErrorReason {
		return string(r)
	}
	return "ErrorReason(" + strconv.Itoa(int(e)) + ")"
}

// Code is the BusinessError code that the promise rejects with; 0 when it resolved.
type Code int

// The codes that Call Kit's reference documents, 201 and 801 being the
// universal permission and capability codes.
const (
	CodeOK               Code = 0
	CodePermission       Code = 201
	CodeParameter        Code = 401
	CodeUnsupported      Code = 801
	CodeInvalidValue     Code = 1007200001
	CodeCannotConnect    Code = 1007200002
	CodeInternal         Code = 1007200003
	CodeUnknownException Code = 1007200999
)

// Reason is the machine reason of a result or an attempt.
type Reason string

// Outcome is what became of a call.
type Outcome string

// The outcomes.
const (
	Reported  Outcome = "reported"
	Failed    Outcome = "failed"
	Expired   Outcome = "expired"
	Cancelled Outcome = "cancelled"
)

// Class says why a dead letter is dead; empty: the reason makes none.
type Class string

// The classes of dead letters.
const (
	Permanent Class = "permanent"
	Exhausted Class = "exhausted"
	Crash     Class = "crash"
)

// Retry says how often an attempt that ended with a reason is followed by another.
type Retry int

// The kinds of retry. All of them end at the call's deadline.
const (
	RetryNever         Retry = iota
	RetryTwice               // two more after the first such answer
	RetryFew                 // until REPORT_MAX_ATTEMPTS such answers
	RetryUntilDeadline       // until the call's deadline
)

// The reasons.
const (
	ReasonNone                    Reason = "ERROR_NONE"
	ReasonCellularCallExists      Reason = "CELLULAR_CALL_EXISTS"
	ReasonVoipCallExists          Reason = "VOIP_CALL_EXISTS"
	ReasonInvalidCall             Reason = "INVALID_CALL"
	ReasonUserAnswerCellularFirst Reason = "USER_ANSWER_CELLULAR_FIRST"
	ReasonUnknownErrorReason      Reason = "UNKNOWN_ERROR_REASON"
	ReasonCallKitRejected         Reason = "CALLKIT_REJECTED"
	ReasonCallKitInternal         Reason = "CALLKIT_INTERNAL"
	ReasonCallKitUnavailable      Reason = "CALLKIT_UNAVAILABLE"
	ReasonReportUnavailable       Reason = "REPORT_UNAVAILABLE"
	ReasonReportRejected          Reason = "REPORT_REJECTED"
	ReasonConnectFailed           Reason = "CONNECT_FAILED"
	ReasonAvatarRejected          Reason = "AVATAR_REJECTED"
	ReasonInvalidAttribute        Reason = "INVALID_ATTRIBUTE"
	ReasonMalformedPush           Reason = "MALFORMED_PUSH"
	ReasonCrashLoop               Reason = "CRASH_LOOP"
	ReasonExpired                 Reason = "EXPIRED"
	ReasonCancelled               Reason = "CANCELLED"
)

// Rule is one row of the table: all that follows from a reason.
type Rule struct {
	Reason  Reason
	Outcome Outcome
	Class   Class // of the dead letter; empty: none is written
	Retry   Retry
	Attempt bool // an attempt can end with it

	errorReasons []ErrorReason // values of Call Kit that mean it, with code 0
	codes        []Code        // codes of Call Kit that mean it
}

// rules is THE table: what an ErrorReason, a code or an error means for a
// call. A new value is a constant above and a row here, and nothing else.
//
//nolint:gochecknoglobals // a table of constants, read only
var rules = []Rule{
	{Reason: ReasonNone, Outcome: Reported, Attempt: true, errorReasons: []ErrorReason{ErrorNone}},
	{Reason: ReasonCellularCallExists, Outcome: Failed, Class: Exhausted, Retry: RetryFew, Attempt: true, errorReasons: []ErrorReason{CellularCallExists}},
	{Reason: ReasonVoipCallExists, Outcome: Failed, Class: Exhausted, Retry: RetryFew, Attempt: true, errorReasons: []ErrorReason{VoipCallExists}},
	{Reason: ReasonInvalidCall, Outcome: Failed, Class: Permanent, Attempt: true, errorReasons: []ErrorReason{InvalidCall}},
	{Reason: ReasonUserAnswerCellularFirst, Outcome: Failed, Class: Permanent, Attempt: true, errorReasons: []ErrorReason{UserAnswerCellularFirst}},
	{Reason: ReasonUnknownErrorReason, Outcome: Failed, Class: Permanent, Attempt: true},
	{Reason: ReasonCallKitRejected, Outcome: Failed, Class: Permanent, Attempt: true, codes: []Code{CodePermission, CodeParameter, CodeUnsupported, CodeInvalidValue}},
	{Reason: ReasonCallKitInternal, Outcome: Failed, Class: Exhausted, Retry: RetryTwice, Attempt: true, codes: []Code{CodeInternal, CodeUnknownException}},
	{Reason: ReasonCallKitUnavailable, Outcome: Failed, Class: Exhausted, Retry: RetryUntilDeadline, Attempt: true, codes: []Code{CodeCannotConnect}},
	{Reason: ReasonReportUnavailable, Outcome: Failed, Class: Exhausted, Retry: RetryUntilDeadline, Attempt: true},
	{Reason: ReasonReportRejected, Outcome: Failed, Class: Permanent, Attempt: true},
	{Reason: ReasonConnectFailed, Outcome: Failed, Class: Exhausted, Retry: RetryFew},
	{Reason: ReasonAvatarRejected, Outcome: Failed, Class: Permanent},
	{Reason: ReasonInvalidAttribute, Outcome: Failed, Class: Permanent},
	{Reason: ReasonMalformedPush, Outcome: Failed, Class: Permanent},
	{Reason: ReasonCrashLoop, Outcome: Failed, Class: Crash},
	{Reason: ReasonExpired, Outcome: Expired},
	{Reason: ReasonCancelled, Outcome: Cancelled},
}

// Rules are the rows of the table, in the contract's order.
func Rules() []Rule { return slices.Clone(rules) }

// Rule is the reason's row. A reason that has none (it came from a newer
// worker's record, say) is treated as UNKNOWN_ERROR_REASON is: failed for
// good, never a crash.
func (r Reason) Rule() Rule {
	for i := range rules {
		if rules[i].Reason == r {
			return rules[i]
		}
	}
	return Rule{Reason: r, Outcome: Failed, Class: Permanent}
}

// Reason is the machine reason of an ErrorReason that came with code 0.
func (e ErrorReason) Reason() Reason {
	for i := range rules {
		if slices.Contains(rules[i].errorReasons, e) {
			return rules[i].Reason
		}
	}
	return ReasonUnknownErrorReason
}

// Reason is the machine reason of a code other than 0. Unknown codes are
// refusals: nothing says that they would pass.
func (c Code) Reason() Reason {
	for i := range rules {
		if slices.Contains(rules[i].codes, c) {
			return rules[i].Reason
		}
	}
	return ReasonCallKitRejected
}
