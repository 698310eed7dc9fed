package callkit

import (
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// What the model assumes of time where nobody says otherwise.
const (
	answerTimeout = time.Minute     // (model)
	keyLife       = 5 * time.Minute // the least that a bridge promises
)

// Options are the model's switches. The zero value is the faithful model.
type Options struct {
	Now           func() time.Time // the clock; nil: time.Now
	AnswerTimeout time.Duration    // a call that is not answered ends after it; 0: one minute (model)
	KeyLife       time.Duration    // how long a key's answer is given again; 0: five minutes

	// BusyIsInternal answers 1007200003 also where another bundle holds the
	// slot (rule 4), instead of VOIP_CALL_EXISTS.
	BusyIsInternal bool
	// CarrierIsInternal answers 1007200003 where a carrier call is in the way
	// (rule 5), instead of CELLULAR_CALL_EXISTS.
	CarrierIsInternal bool
	// ForgetKeys makes the bridge one that knows no idempotency keys.
	ForgetKeys bool
	// SayDuplicate marks the answer to a live duplicate as one.
	SayDuplicate bool

	// List keeps the names of calls on devices of their own, so that Calls
	// lists them.
	List bool
	// Observe is told of every request, outside the model's lock; nil: nobody is.
	Observe func(Event)
}

// Via is the way that a request took to the model.
type Via string

// The ways.
const (
	InProcess Via = "process"
	ViaNATS   Via = "nats"
	ViaHTTP   Via = "http"
)

// Event is one request and what became of it.
type Event struct {
	Ref
	Via         Via
	Request     *voip.Request // as it came; not to be changed
	Method      string
	Attempt     int
	Key         string
	Answer      voip.Answer
	Err         error // an injected transport fault; Answer may not have been given then
	Replayed    bool  // an earlier answer, given again for its key
	Banner      bool  // the banner came up because of this request
	AvatarShown bool
}

// Stats counts what the model did.
type Stats struct {
	Requests      int64 `json:"requests"`
	Accepted      int64 `json:"accepted"`
	Refused       int64 `json:"refused"`
	Replayed      int64 `json:"replayed"`
	AvatarsHidden int64 `json:"avatarsHidden"`
	Faults        int64 `json:"faults"`
}

// withDefaults fills in what is not said.
func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.AnswerTimeout <= 0 {
		o.AnswerTimeout = answerTimeout
	}
	if o.KeyLife <= 0 {
		o.KeyLife = keyLife
	}
	return o
}
