package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// Transport sends one request to Call Kit's side, and ends when ctx does. Its
// error is a *voip.ReportError.
type Transport interface {
	Report(ctx context.Context, req *voip.Request) (voip.Answer, error)
}

// Recorder counts attempts by their reason, and is told when the circuit opens
// and closes.
type Recorder interface {
	Attempt(reason string)
	CircuitOpen(open bool)
}

// Stage makes the report attempts of all calls.
type Stage struct {
	cfg       Config
	transport Transport
	rec       Recorder
	log       *slog.Logger
	slots     chan struct{}
	again     chan struct{} // the part of the slots that retries may take: fresh calls always find the rest
	breaker   *breaker
}

// New makes a stage; its error names every setting that is wrong.
func New(cfg Config, t Transport, rec Recorder, log *slog.Logger) (*Stage, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Stage{
		cfg: cfg, transport: t, rec: rec, log: log,
		slots: make(chan struct{}, cfg.Concurrency), again: make(chan struct{}, max(1, cfg.Concurrency/2)),
		breaker: newBreaker(cfg.Concurrency, rec, log),
	}, nil
}

// Report makes the attempts of one call, after those that past tells of. ctx
// has the call's deadline (its cause is voip.ErrExpired then) and is cancelled
// with cause voip.ErrCancelled, voip.ErrStopping or voip.ErrLeaseLost.
//
// No error: the call is reported. A *voip.ReportError: it failed with the
// reason of its last attempt. voip.ErrExpired: the deadline came before the
// first attempt. The other causes come back as they are. The Progress is the
// newest in every case.
func (s *Stage) Report(ctx context.Context, req voip.Request, past voip.Progress, turn voip.Turn) (voip.Progress, error) {
	c := &call{Stage: s, req: &req, turn: turn, progress: past, logged: past.LastReason()}
	err := c.run(ctx)
	return c.progress, err
}

// call is the state of one call's attempts.
type call struct {
	*Stage

	req      *voip.Request
	turn     voip.Turn
	progress voip.Progress
	failure  *voip.ReportError // of the last attempt
	delays   *delays           // nil until the first wait
	logged   voip.Reason       // the failure that was logged last
	retry    bool              // the slot that is held is a retry's
	held     bool              // by the circuit, at least once
}

func (c *call) run(ctx context.Context) error {
	for {
		more, err := c.attempt(ctx)
		if !more {
			return err
		}
		if err := c.wait(ctx); err != nil {
			return err
		}
	}
}

// attempt makes one attempt when it may. more: it failed, and another may follow.
func (c *call) attempt(ctx context.Context) (more bool, err error) {
	allowed, err := c.enter(ctx)
	if err != nil {
		return false, c.ended(err)
	}
	var out outcome
	learned := learnedNothing
	defer func() { c.leave(allowed, learned, &out) }()
	work, err := c.turn.Check(ctx)
	began := time.Now()
	if err == nil && tooLate(ctx, began) {
		err = voip.ErrExpired // also when no timer has said so yet: a late ring is worse than none
	}
	if err != nil {
		return false, c.ended(err)
	}
	work, cancel := limit(ctx, work, began, c.cfg.Timeout)
	defer cancel()

	c.req.Attempt = c.progress.Total + 1
	c.req.IdempotencyKey = voip.IdempotencyKey(c.req.Attribute.CallID, c.req.Redrives, c.progress.Key+1)
	out = c.send(work)
	took := time.Since(began)
	out.began = began
	learned = out.verdict(out.answer == nil && took < c.cfg.Timeout && work.Err() != nil)
	more = c.judge(&out)
	c.progress.Add(voip.NewAttempt(began, took, out.reason, out.answer))
	c.rec.Attempt(string(out.reason))
	c.note(ctx, &out)
	if c.failure = out.failure(); c.failure == nil {
		return false, nil
	}
	return more, c.failure
}

// send asks the transport. A panic in it is the call's own failure, and of
// unknown outcome.
func (c *call) send(ctx context.Context) (out outcome) {
	defer func() {
		if p := recover(); p != nil {
			// The value may hold what is private; its kind and the stack say enough.
			kind := fmt.Sprintf("the transport panicked (%T)", p)
			c.log.ErrorContext(ctx, "the report transport panicked", slog.String("kind", kind), slog.String("stack", string(debug.Stack())))
			out = outcomeOf(voip.Answer{}, unknownOutcome(kind))
		}
	}()
	return outcomeOf(c.transport.Report(ctx, c.req))
}

// wait lets the time to the next attempt pass, with the turn handed on and no
// slot held. Its error ends the call.
func (c *call) wait(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil && !errors.Is(err, voip.ErrStopping) {
		return c.ended(err)
	}
	delay, held := c.delay()
	if !held && tooLate(ctx, time.Now().Add(delay)) {
		return c.failure // not waited for
	}
	if ctx.Err() != nil {
		return c.ended(context.Cause(ctx))
	}
	c.turn.Pause(c.progress)
	if err := pass(ctx, delay); err != nil {
		return c.ended(err)
	}
	return nil
}

// delay is the time to the next attempt. held: the circuit is open, and it is
// waited for instead, to the deadline if need be; all that is left of the call's
// own wait is what the bridge itself asked for.
func (c *call) delay() (d time.Duration, held bool) {
	if c.failure.Reason == voip.ReasonReportUnavailable && c.breaker.isOpen() {
		return c.failure.RetryAfter, true
	}
	if c.delays == nil {
		c.delays = newDelays(c.cfg)
	}
	return c.delays.next(c.failure.RetryAfter), false
}

// ended says what the end of ctx, or a refused turn, means for the call.
func (c *call) ended(cause error) error {
	if cause = plain(cause); !errors.Is(cause, voip.ErrExpired) {
		return cause
	}
	return c.expired(cause)
}

// expired: a call that was tried fails with the reason of its last attempt,
// also when another worker made it.
func (c *call) expired(cause error) error {
	switch {
	case c.failure != nil:
		return c.failure
	case c.progress.Total == 0 && c.held:
		// By the contract's letter a call that was never tried has expired, and
		// is no dead letter: it needs nobody's hand, and its ring would be late.
		return fmt.Errorf("%w: all its time the bridge could not be reached, or refused the fleet", cause)
	case c.progress.Total == 0:
		return cause
	default:
		return c.progress.Overdue()
	}
}

// note logs a failure once for as long as its reason stays, and the success
// that comes after failures.
func (c *call) note(ctx context.Context, out *outcome) {
	attempts := slog.Int("attempts", c.progress.Total)
	switch {
	case out.reason != voip.ReasonNone:
		level := slog.LevelDebug
		if out.reason != c.logged {
			level = slog.LevelWarn
		}
		c.logged = out.reason
		c.log.LogAttrs(ctx, level, "report attempt failed", slog.String("reason", string(out.reason)), slog.String("detail", out.detail), attempts)
	case c.progress.Total > 1:
		c.log.LogAttrs(ctx, slog.LevelInfo, "reported after retries", attempts, slog.Bool("inferred", c.progress.Inferred))
	default:
		c.log.LogAttrs(ctx, slog.LevelDebug, "reported", attempts)
	}
}
