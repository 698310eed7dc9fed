package voip

import (
	"context"
	"slices"
	"time"
)

// Of a call's attempts the first and the last few are kept; those between are
// counted alone.
const (
	keptFirst = 10
	keptLast  = 10
)

// Progress is how far the attempts of one call have come. It is written into
// the call's record when the push is given back, so that the next worker goes
// on where this one stopped.
type Progress struct {
	Attempts []Attempt `json:"attempts,omitempty"` // the first 10 and the last 10
	Total    int       `json:"total,omitempty"`
	// Key is how many idempotency keys are used up: the next attempt goes out
	// under Key+1.
	Key int `json:"key,omitempty"`
	// Pending says that an attempt under the next key was already made, and may
	// have arrived.
	Pending bool `json:"pending,omitempty"`
	// Unknown says that some attempt, under whatever key, may have arrived.
	Unknown bool `json:"unknown,omitempty"`
	// Inferred says that success is known from a duplicate answer.
	Inferred bool `json:"inferred,omitempty"`
	// Connection is how far the connection step has come.
	Connection Connection `json:"connection,omitzero"`
	// Few and Twice count the answers that those kinds of retry are limited by.
	Few   int `json:"few,omitempty"`
	Twice int `json:"twice,omitempty"`
	// LastAnswer is Call Kit's last answer; nil when it never answered.
	LastAnswer *Answer `json:"lastAnswer,omitempty"`
}

// Connection is how far the connection step of one call has come.
type Connection struct {
	Done    bool `json:"done,omitempty"`    // the answer was yes: it is not asked again
	Key     int  `json:"key,omitempty"`     // as Progress.Key
	Pending bool `json:"pending,omitempty"` // as Progress.Pending
	No      int  `json:"no,omitempty"`      // how often the answer was no
}

// Add counts an attempt and gives it its number.
func (p *Progress) Add(a Attempt) {
	p.Total++
	a.N = p.Total
	// A fresh slice each time: earlier copies of the progress may be on their
	// way into a record.
	kept := slices.Clone(p.Attempts)
	if len(kept) >= keptFirst+keptLast {
		kept = slices.Delete(kept, keptFirst, keptFirst+1)
	}
	kept = append(kept, a)
	p.Attempts = kept
}

// LastReason is the reason of the last attempt; empty when there was none.
func (p *Progress) LastReason() Reason {
	if len(p.Attempts) == 0 {
		return ""
	}
	return p.Attempts[len(p.Attempts)-1].Reason
}

// IsZero says that nothing is known of any attempt. (encoding/json asks it, and
// would else compare field by field.)
func (p *Progress) IsZero() bool {
	return p.Total == 0 && p.Key == 0 && !p.Pending && !p.Unknown && p.Connection == (Connection{})
}

// Overdue is why a call is over once its deadline has passed: it expired when
// no attempt is known of, else it failed as its last attempt did.
func (p *Progress) Overdue() error {
	if p.Total == 0 {
		return ErrExpired
	}
	return &ReportError{Reason: p.LastReason(), Answer: p.LastAnswer, Detail: "the last attempt before the deadline"}
}

// Interrupted is the progress of a push that was begun by a worker that died:
// whatever it attempted is unknown.
func (p Progress) Interrupted() Progress {
	p.Pending, p.Unknown = true, true
	return p
}

// Turn is a call's right to run on its worker. A call that waits for its next
// attempt hands it on.
type Turn interface {
	// Resume waits until the call may run; at once when it already does. Its
	// error is ctx's cause.
	Resume(ctx context.Context) error
	// Check is asked right before each attempt. It returns the context of the
	// attempt, which outlives a cancel and a stop (an attempt that has begun is
	// let finish), or why there must be none: ErrCancelled, ErrStopping,
	// ErrLeaseLost, ErrExpired.
	Check(ctx context.Context) (attempt context.Context, err error)
	// Pause hands the turn on, with what is known of the attempts so far.
	Pause(p Progress)
}

// SetProgress takes the attempts into the result.
func (r *Result) SetProgress(p Progress) {
	r.Attempts = p.Attempts
	if r.Attempts == nil {
		r.Attempts = []Attempt{}
	}
	r.AttemptsTotal, r.Inferred = p.Total, p.Inferred
	r.Code, r.ErrorReason = nil, nil
	if a := p.LastAnswer; a != nil {
		r.Code, r.ErrorReason = &a.Code, a.ErrorReason
	}
}

// NewAttempt is the record of an attempt that began at a time and took so
// long; answer is nil when Call Kit did not answer.
func NewAttempt(at time.Time, took time.Duration, reason Reason, answer *Answer) Attempt {
	a := Attempt{At: at.UTC(), DurationMs: Millis(took), Reason: reason}
	if answer != nil {
		a.Code, a.ErrorReason = &answer.Code, answer.ErrorReason
	}
	return a
}
