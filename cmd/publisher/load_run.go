package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

// loadRun sends the pushes and takes their results. Times are microseconds
// since it began.
type loadRun struct {
	session *cli.Session
	plan    *plan
	flags   *loadFlags
	began   time.Time

	sent, results, unstored, twice atomic.Int64
	lag                            atomic.Int64  // the most that a push left late
	done                           chan struct{} // every call has its result, or none can come

	mu       sync.Mutex
	all      bool // every push has left
	arrived  []int64
	outcomes map[outcomeKey]int
	again    int // results of calls that had one
	refusal  error
}

type outcomeKey struct {
	Outcome voip.Outcome
	Reason  voip.Reason
}

func newLoadRun(s *cli.Session, p *plan, f *loadFlags) *loadRun {
	return &loadRun{
		session: s, plan: p, flags: f, began: time.Now().Add(getReady), done: make(chan struct{}), arrived: make([]int64, f.count), outcomes: map[outcomeKey]int{},
	}
}

// getReady is from the run's making to its first push: results are listened to
// by then.
const getReady = 250 * time.Millisecond

const listenTimeout = 5 * time.Second

var errStopped = errors.New("interrupted")

// run ends when every call has its result, or it takes too long, or ctx ends.
func (r *loadRun) run(ctx context.Context, p progress) error {
	sub, err := r.session.Conn.Subscribe(voip.SubjectResult, r.take)
	if err != nil {
		return cli.Fault(ctx, voip.StreamResult, err)
	}
	if err := errors.Join(sub.SetPendingLimits(-1, -1), r.session.Conn.FlushTimeout(listenTimeout)); err != nil {
		return cli.Fault(ctx, voip.StreamResult, err)
	}
	watched, unwatch := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { p.follow(watched, r.figures) })
	defer watching.Wait()
	defer unwatch()
	if err := r.send(ctx); err != nil {
		return err
	}
	r.finished()
	limit := time.NewTimer(r.flags.timeout)
	defer limit.Stop()
	select {
	case <-r.done:
	case <-limit.C:
	case <-ctx.Done():
		return cli.Fault(ctx, voip.StreamPush, errStopped)
	}
	return nil
}

// send sends each push at its time, whatever became of those before it.
func (r *loadRun) send(ctx context.Context) error {
	acks := make(chan jetstream.PubAckFuture, ackBuffer)
	var awaiting sync.WaitGroup
	awaiting.Go(func() { r.await(ctx, acks) })
	defer awaiting.Wait()
	defer close(acks)
	for i := range r.flags.count {
		msg, twice, err := r.plan.next(i)
		if err != nil {
			return err
		}
		if !until(ctx, r.began.Add(time.Duration(r.intended(i))*time.Microsecond)) {
			return cli.Fault(ctx, voip.StreamPush, errStopped)
		}
		r.lag.Store(max(r.lag.Load(), r.now()-r.intended(i)))
		r.publish(acks, msg)
		r.sent.Add(1)
		if twice { // it is the broker's or the workers' to drop, and has no result
			r.twice.Add(1)
			if _, err := r.session.JS.PublishMsgAsync(&nats.Msg{Subject: msg.Subject, Data: msg.Data}); err != nil {
				return cli.Fault(ctx, voip.StreamPush, err)
			}
		}
	}
	return nil
}

const (
	ackBuffer = 16384
	stallWait = 10 * time.Second
)

func (r *loadRun) publish(acks chan<- jetstream.PubAckFuture, msg *nats.Msg) {
	future, err := r.session.JS.PublishMsgAsync(msg, jetstream.WithStallWait(stallWait))
	if err != nil {
		r.refused(err)
		return
	}
	acks <- future
}

// await counts the pushes that the broker did not store.
func (r *loadRun) await(ctx context.Context, acks <-chan jetstream.PubAckFuture) {
	for future := range acks {
		select {
		case <-future.Ok():
		case err := <-future.Err():
			r.refused(cli.Fault(ctx, voip.StreamPush, err))
		case <-ctx.Done():
		}
	}
}

func (r *loadRun) refused(err error) {
	r.unstored.Add(1)
	r.mu.Lock()
	r.refusal = err
	r.mu.Unlock()
	r.check()
}

// intended is when the i-th push was meant to leave.
func (r *loadRun) intended(i int) int64 { return int64(float64(i) / r.flags.rate * 1e6) }

func (r *loadRun) now() int64 { return time.Since(r.began).Microseconds() }

// take notes a result, when it is of this run.
func (r *loadRun) take(msg *nats.Msg) {
	at := r.now()
	result, err := cli.ReadResult(msg)
	if err != nil || result == nil {
		return
	}
	i, ok := r.plan.index(result.CallID)
	if !ok || i >= len(r.arrived) {
		return
	}
	r.mu.Lock()
	if r.arrived[i] > 0 {
		r.again++
		r.mu.Unlock()
		return
	}
	r.arrived[i] = max(1, at)
	r.outcomes[outcomeKey{result.Outcome, result.Reason}]++
	r.mu.Unlock()
	r.results.Add(1)
	r.check()
}

// finished says that every push has left.
func (r *loadRun) finished() {
	r.mu.Lock()
	r.all = true
	r.mu.Unlock()
	r.check()
}

// check ends the run when nothing more can come.
func (r *loadRun) check() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all && r.results.Load()+r.unstored.Load() >= int64(r.flags.count) {
		r.all = false // once
		close(r.done)
	}
}

func (r *loadRun) figures() (sent, results, unstored int64) {
	return r.sent.Load(), r.results.Load(), r.unstored.Load()
}

// until waits for a moment; false: ctx ended first.
func until(ctx context.Context, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
