package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// maxTwice is how many answers of a RetryTwice reason end a call: the first
// and two more.
const maxTwice = 3

// outcome is what one attempt came to.
type outcome struct {
	began      time.Time // of its attempt
	reason     voip.Reason
	answer     *voip.Answer // nil: Call Kit did not answer
	arrival    voip.Arrival
	duplicate  bool
	busy       bool // the far side is there, and takes no more just now
	retryAfter time.Duration
	detail     string
}

// outcomeOf reads what a transport returned.
func outcomeOf(a voip.Answer, err error) outcome {
	if err == nil {
		return outcome{reason: a.Reason(), answer: &a, arrival: voip.Answered, duplicate: a.Duplicate, detail: detailOf(a)}
	}
	e, ok := errors.AsType[*voip.ReportError](err)
	if !ok {
		// Its text was not written for logs: it may hold what is private.
		e = unknownOutcome(fmt.Sprintf("the transport failed (%T)", err))
	}
	return outcome{
		reason: e.Reason, answer: e.Answer, arrival: e.Arrival, retryAfter: e.RetryAfter, detail: e.Detail,
		duplicate: e.Duplicate || e.Answer != nil && e.Answer.Duplicate, busy: e.Busy,
	}
}

// detailOf says in numbers what Call Kit answered. Its message is not ours,
// and may hold a name.
func detailOf(a voip.Answer) string {
	switch {
	case a.Code != voip.CodeOK:
		return fmt.Sprintf("Call Kit answered code %d", a.Code)
	case a.ErrorReason == nil:
		return "Call Kit answered code 0 without an errorReason"
	case *a.ErrorReason == voip.ErrorNone:
		return ""
	default:
		return fmt.Sprintf("Call Kit answered errorReason %d", *a.ErrorReason)
	}
}

// unknownOutcome is the failure of an attempt that may have arrived.
func unknownOutcome(detail string) *voip.ReportError {
	return &voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.MayHaveArrived, Detail: detail}
}

// failure is the error of an outcome; nil for success.
func (o *outcome) failure() *voip.ReportError {
	if o.reason == voip.ReasonNone {
		return nil
	}
	return &voip.ReportError{
		Reason: o.reason, Answer: o.answer, Arrival: o.arrival, Duplicate: o.duplicate, Busy: o.busy, RetryAfter: o.retryAfter, Detail: o.detail,
	}
}

// judge takes an outcome into the progress, and says whether another attempt
// may follow. An outcome that proves an earlier attempt becomes a success.
func (c *call) judge(out *outcome) (more bool) {
	p := &c.progress
	if out.duplicate && p.Unknown {
		out.reason, p.Inferred = voip.ReasonNone, true
	}
	if out.answer != nil {
		p.LastAnswer = out.answer
	}
	settleKey(p, out.arrival)
	switch out.reason.Rule().Retry {
	case voip.RetryUntilDeadline:
		return true
	case voip.RetryFew:
		p.Few++
		return p.Few < c.cfg.MaxAttempts
	case voip.RetryTwice:
		p.Twice++
		return p.Twice < maxTwice
	case voip.RetryNever:
	}
	return false
}

// settleKey decides the idempotency key of the next attempt: a key is used up
// once its answer is known, and goes out again for as long as it is not.
func settleKey(p *voip.Progress, a voip.Arrival) {
	switch a {
	case voip.NotArrived:
	case voip.MayHaveArrived:
		p.Pending, p.Unknown = true, true
	case voip.TurnedAway:
		if !p.Pending {
			p.Key++
		}
	case voip.Answered:
		p.Key++
		p.Pending = false
	}
}

// plain is the cause for which a call ends, in the words of voip.
func plain(cause error) error {
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		return voip.ErrExpired
	case errors.Is(cause, context.Canceled):
		// Nobody said why. No result may follow from that: it is as a stop.
		return voip.ErrStopping
	default:
		return cause
	}
}
