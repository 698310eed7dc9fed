package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/voip"
)

// UnsoundError names what of the broker's streams and consumer the protocol
// cannot stand on.
type UnsoundError struct{ Drift []Drift }

func (e *UnsoundError) Error() string {
	errs := make([]error, len(e.Drift))
	for i, d := range e.Drift {
		errs[i] = errors.New(d.String() + "; " + d.remedy())
	}
	return errors.Join(errs...).Error()
}

// UnsoundOf is an *UnsoundError over the unsound of the differences; nil when
// there are none.
func UnsoundOf(drift []Drift) error {
	var bad []Drift
	for _, d := range drift {
		if d.Severity == Unsound {
			bad = append(bad, d)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	return &UnsoundError{Drift: bad}
}

// Inspect compares the broker with the contract and changes nothing.
func Inspect(ctx context.Context, js jetstream.JetStream, cfg *Config) ([]Drift, error) {
	var all []Drift
	for _, want := range Streams(cfg) {
		_, drift, err := inspectStream(ctx, js, &want)
		if err != nil {
			return nil, err
		}
		all = append(all, drift...)
	}
	_, drift, err := inspectConsumer(ctx, js, cfg)
	if err != nil {
		return nil, err
	}
	all = append(all, drift...)
	return append(all, inspectServer(js.Conn().MaxPayload())...), nil
}

// leastPayload is what the largest push takes as a dead letter, with its own
// headers and ours.
const leastPayload = pushMaxMessage + 64<<10

// inspectServer says of a max_payload that a dead letter may not get through; 0 is
// not known.
func inspectServer(maxPayload int64) []Drift {
	if maxPayload == 0 || maxPayload >= leastPayload {
		return nil
	}
	return []Drift{{Object: "server", Field: "max_payload", Have: strconv.FormatInt(maxPayload, 10), Want: strconv.Itoa(leastPayload) + " or more", Severity: Warning, Fixed: true}}
}

// Provision creates what is missing and mends what differs. It returns what it
// changed; settings beside the contract's (placement, say) are left alone.
// What exists and cannot be changed is an *UnsoundError when it matters, with
// all that is unsound in it and nothing changed; else it stays in the list with
// Fixed set.
func Provision(ctx context.Context, js jetstream.JetStream, cfg *Config) ([]Drift, error) {
	drift, err := Inspect(ctx, js, cfg)
	if err != nil {
		return nil, err
	}
	if err := immovable(drift); err != nil {
		return nil, err
	}
	var changed []Drift
	for _, want := range Streams(cfg) {
		drift, err := provisionStream(ctx, js, &want)
		changed = append(changed, drift...)
		if err != nil {
			return changed, err
		}
	}
	drift, err = provisionConsumer(ctx, js, cfg)
	changed = append(changed, drift...)
	return append(changed, inspectServer(js.Conn().MaxPayload())...), err
}

// ask looks again when nobody has answered: a cluster that is just starting has
// no leader, and without one a question is not answered late but never.
func ask[T any](ctx context.Context, look func(context.Context) (T, error)) (T, error) {
	for {
		soon, cancel := context.WithTimeout(ctx, askTimeout)
		found, err := look(soon)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return found, err
		}
	}
}

const askTimeout = 2 * time.Second

func inspectStream(ctx context.Context, js jetstream.JetStream, want *jetstream.StreamConfig) (mended *jetstream.StreamConfig, drift []Drift, err error) {
	object := "stream " + want.Name
	s, err := ask(ctx, func(ctx context.Context) (jetstream.Stream, error) { return js.Stream(ctx, want.Name) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, []Drift{{Object: object, Severity: Missing}}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look at %s: %w", object, err)
	}
	have := s.CachedInfo().Config
	drift = compare(object, &have, want, streamChecks())
	return &have, drift, nil
}

func mendable(d Drift) bool { return !d.Fixed }

func provisionStream(ctx context.Context, js jetstream.JetStream, want *jetstream.StreamConfig) ([]Drift, error) {
	mended, drift, err := inspectStream(ctx, js, want)
	if err != nil || len(drift) == 0 {
		return drift, err
	}
	if mended == nil {
		if want.Name == voip.StreamPush {
			if want.FirstSeq, err = firstPush(ctx, js); err != nil {
				return nil, err
			}
		}
		_, err := js.CreateStream(ctx, *want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return provisionStream(ctx, js, want) // another worker was quicker
		}
		if err != nil {
			return nil, refused("create", want, err)
		}
		return drift, nil
	}
	if !slices.ContainsFunc(drift, mendable) {
		return drift, nil
	}
	if _, err := js.UpdateStream(ctx, *mended); err != nil {
		return nil, refused("update", want, err)
	}
	return drift, nil
}

// What a server says no to for the sake of a setting.
const (
	accountLimits   jetstream.ErrorCode = 10002
	noPeers         jetstream.ErrorCode = 10005
	noStorage       jetstream.ErrorCode = 10047
	noReplicas      jetstream.ErrorCode = 10074
	maxStreamLimits jetstream.ErrorCode = 10122
)

// refused names the settings that a server has no room for: it names none.
func refused(verb string, want *jetstream.StreamConfig, err error) error {
	api, _ := errors.AsType[*jetstream.APIError](err)
	err = fmt.Errorf("%s stream %s: %w", verb, want.Name, err)
	switch {
	case api == nil:
	case slices.Contains([]jetstream.ErrorCode{noReplicas, noPeers}, api.ErrorCode):
		err = fmt.Errorf("%w; NATS_REPLICAS is %d, which takes a cluster of as many servers", err, want.Replicas)
	case want.MaxBytes > 0 && slices.Contains([]jetstream.ErrorCode{noStorage, accountLimits, maxStreamLimits}, api.ErrorCode):
		err = fmt.Errorf("%w; NATS_PUSH_MAX_BYTES is %d, of which each copy is set aside at once", err, want.MaxBytes)
	}
	return err
}

// firstPush is the sequence that a new stream of pushes begins at; 0: at 1.
// Results, acks and the calls' records name a push by its sequence. Where there
// were results already the stream was there before: it goes on at one that no
// earlier push had, or its calls' results would be taken for those of earlier
// ones, and dropped.
func firstPush(ctx context.Context, js jetstream.JetStream) (uint64, error) {
	results, err := js.Stream(ctx, voip.StreamResult)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("look at stream %s: %w", voip.StreamResult, err)
	case results.CachedInfo().State.LastSeq == 0:
		return 0, nil
	}
	return uint64(time.Now().UnixMicro()), nil
}

func inspectConsumer(ctx context.Context, js jetstream.JetStream, cfg *Config) (mended *jetstream.ConsumerConfig, drift []Drift, err error) {
	const object = "consumer " + voip.ConsumerWorkers
	c, err := ask(ctx, func(ctx context.Context) (jetstream.Consumer, error) {
		return js.Consumer(ctx, voip.StreamPush, voip.ConsumerWorkers)
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, []Drift{{Object: object, Severity: Missing}}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look at %s: %w", object, err)
	}
	have, want := c.CachedInfo().Config, WorkersConsumer(cfg)
	drift = compare(object, &have, &want, consumerChecks())
	return &have, drift, nil
}

func provisionConsumer(ctx context.Context, js jetstream.JetStream, cfg *Config) ([]Drift, error) {
	mended, drift, err := inspectConsumer(ctx, js, cfg)
	if err != nil || len(drift) == 0 {
		return drift, err
	}
	if mended == nil {
		if _, err := js.CreateConsumer(ctx, voip.StreamPush, WorkersConsumer(cfg)); err != nil {
			return nil, fmt.Errorf("create consumer %s: %w", voip.ConsumerWorkers, err)
		}
		return drift, nil
	}
	if !slices.ContainsFunc(drift, mendable) {
		return drift, nil
	}
	if _, err := js.UpdateConsumer(ctx, voip.StreamPush, *mended); err != nil {
		return nil, fmt.Errorf("update consumer %s: %w", voip.ConsumerWorkers, err)
	}
	return drift, nil
}

// immovable is an error when something unsound cannot be changed on what exists.
func immovable(drift []Drift) error {
	var fixed []Drift
	for _, d := range drift {
		if d.Fixed {
			fixed = append(fixed, d)
		}
	}
	return UnsoundOf(fixed)
}
