package consumer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/voip"
)

// record is what the bucket knows of a call: which push claimed it, how far it
// has come, and how it ended when it ended dead.
type record struct {
	Sequence   uint64 `json:"sequence"`   // of the push that claimed the call
	Deliveries uint64 `json:"deliveries"` // the delivery that holds it
	Worker     string `json:"worker"`
	Trace      string `json:"trace,omitempty"` // the traceparent of the delivery that holds it
	// Pushed is the broker's timestamp of the push, in milliseconds: a record is as
	// young as its last write, its call is not.
	Pushed int64 `json:"pushed,omitempty"`
	// Lost counts the deliveries whose worker was not heard of again: it may have
	// died, and of this push.
	Lost int `json:"lost,omitempty"`
	// Starts counts how often the push was begun alone and its worker was not
	// heard of again.
	Starts int `json:"starts,omitempty"`
	// Clean says that the push was given back: nothing of it is unknown.
	Clean    bool          `json:"clean,omitempty"`
	Progress voip.Progress `json:"progress,omitzero"`
	Decided  *decided      `json:"decided,omitempty"`
}

// suspectFrom is the delivery from which on a push may be what killed its workers:
// it runs alone.
const suspectFrom = 3

// suspect says that the push may be what killed its workers.
func (r *record) suspect() bool { return r.Lost >= suspectFrom-1 || r.Starts > 0 }

// encode is the record as JSON; that of a call which has just been claimed, as
// most are, without the detour through reflection.
func (r *record) encode() ([]byte, error) {
	worker, err := json.Marshal(r.Worker)
	if err == nil && r.Trace == "" && r.Lost == 0 && r.Starts == 0 && !r.Clean && r.Decided == nil && r.Progress.IsZero() {
		b := strconv.AppendUint([]byte(`{"sequence":`), r.Sequence, 10)
		b = strconv.AppendUint(append(b, `,"deliveries":`...), r.Deliveries, 10)
		b = append(append(b, `,"worker":`...), worker...)
		if r.Pushed != 0 {
			b = strconv.AppendInt(append(b, `,"pushed":`...), r.Pushed, 10)
		}
		return append(b, '}'), nil
	}
	kept := *r
	if a := kept.Progress.LastAnswer; a != nil {
		// The far side's own words may hold a name.
		kept.Progress.LastAnswer = &voip.Answer{Code: a.Code, ErrorReason: a.ErrorReason, Duplicate: a.Duplicate}
	}
	b, err := json.Marshal(&kept)
	if err != nil {
		return nil, fmt.Errorf("encode the record of a call: %w", err)
	}
	return b, nil
}

// decided is a dead call's end, written before any of it is published.
type decided struct {
	Stage  voip.Stage  `json:"stage"`
	Result voip.Result `json:"result"`
}

// claim is this worker's hold on a record. Writes go by compare-and-set on the
// revision last seen: the loser of a race has lost the push.
type claim struct {
	key      string
	revision uint64 // 0: there is no record yet
	record   record
	unsure   bool // the last write of it may be stored, or not
	// asked says that the record was to be created ahead, and answer what came
	// of it; create begins with that.
	asked  bool
	answer error
}

// errTaken: the record was written by somebody else since it was last seen.
var errTaken = errors.New("the call's record was taken over")

// Codes of the server for a compare-and-set that lost; the second one comes
// from replicated streams.
const (
	codeWrongSequence           = jetstream.JSErrCodeStreamWrongLastSequence
	codeWrongSequenceReplicated = jetstream.JSErrCodeStreamWrongLastSequenceConstant
)

// createOnly is the header of a record that must not be there yet.
//
//nolint:gochecknoglobals // read only, and the same for every call
var createOnly = nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}}

// calls is the bucket of the calls' records.
type calls struct {
	publisher Publisher
	stream    jetstream.Stream
	prefix    string
}

// write stores the claim's record if nobody else did since, else errTaken. What
// an earlier try of the same write stored, whose ack was lost, is its own.
func (s *calls) write(ctx context.Context, c *claim) error {
	body, err := c.record.encode()
	if err != nil {
		return err
	}
	switch err := s.put(ctx, c, body); {
	case err == nil:
		c.unsure = false
		return nil
	case !errors.Is(err, errTaken):
		c.unsure = true // it may be stored all the same
		return err
	case c.unsure:
		return s.recognize(ctx, c, body)
	default:
		return err
	}
}

func (s *calls) put(ctx context.Context, c *claim, body []byte) error {
	return c.put(s.publisher.PublishMsg(ctx, s.message(c, body)))
}

func (s *calls) message(c *claim, body []byte) *nats.Msg {
	header := createOnly
	if c.revision > 0 {
		header = nats.Header{jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(c.revision, 10)}}
	}
	return &nats.Msg{Subject: s.prefix + c.key, Data: body, Header: header}
}

// put takes what the stream says of a write.
func (c *claim) put(ack jetstream.PubAck, err error) error {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok &&
		(api.ErrorCode == codeWrongSequence || api.ErrorCode == codeWrongSequenceReplicated) {
		return errTaken
	}
	if err != nil {
		return err
	}
	c.revision = ack.Sequence
	return nil
}

// recognize is nil when the record that is stored is the one that was to be.
// Nobody else writes its like: a record names its worker and its delivery.
func (s *calls) recognize(ctx context.Context, c *claim, body []byte) error {
	msg, err := s.stream.GetLastMsgForSubject(ctx, s.prefix+c.key)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return errTaken
	case err != nil:
		return fmt.Errorf("read the record of a call: %w", err)
	case !bytes.Equal(msg.Data, body):
		return errTaken
	}
	c.revision, c.unsure = msg.Sequence, false
	return nil
}

// read looks a record up; found is false when there is none.
func (s *calls) read(ctx context.Context, key string) (c claim, found bool, err error) {
	msg, err := s.stream.GetLastMsgForSubject(ctx, s.prefix+key)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return claim{key: key}, false, nil
	}
	if err != nil {
		return claim{}, false, fmt.Errorf("read the record of a call: %w", err)
	}
	c = claim{key: key, revision: msg.Sequence}
	if err := json.Unmarshal(msg.Data, &c.record); err != nil {
		return claim{}, false, fmt.Errorf("the record of a call at revision %d of %s cannot be read: %w", msg.Sequence, voip.BucketCalls, err)
	}
	return c, true, nil
}

// create claims the call with a new record. When there is one already it is
// returned; a record that came and went in between is asked for again.
func (s *calls) create(ctx context.Context, c *claim) (other *claim, err error) {
	for {
		err := c.answer
		if !c.asked {
			err = s.write(ctx, c)
		}
		c.asked = false
		if !errors.Is(err, errTaken) {
			return nil, err
		}
		have, found, err := s.read(ctx, c.key)
		if err != nil {
			return nil, err
		}
		if found {
			return &have, nil
		}
		c.revision = 0
	}
}

// createAhead sends the new record and returns; then is called once its answer
// is here, which create begins with. then must not block.
func (s *calls) createAhead(c *claim, then func()) {
	body, err := c.record.encode()
	if err != nil {
		then() // create will say so
		return
	}
	s.publisher.PublishThen(s.message(c, body), func(ack jetstream.PubAck, err error) {
		c.asked, c.answer = true, c.put(ack, err)
		c.unsure = c.answer != nil && !errors.Is(c.answer, errTaken)
		then()
	})
}
