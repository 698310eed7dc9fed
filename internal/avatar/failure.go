package avatar

import (
	"errors"
	"net/http"

	"github.com/voip-push/worker/internal/voip"
)

// lasting says how long a failure is likely to go on.
type lasting int

// The kinds of lasting.
const (
	lastsLong  lasting = iota // it will not pass by itself
	lastsShort                // it may pass any moment
	ofOurs                    // the host is not to blame: the worker had no room or time
)

// stageError is why an avatar failed. Its text is fit for a result; what the
// network, a resolver or a decoder said is kept apart in cause, since it may
// hold the URL or its host.
type stageError struct {
	reason  voip.AvatarReason
	detail  string
	cause   error
	lasting lasting
}

func (e *stageError) Error() string { return string(e.reason) + ": " + e.detail }

func (e *stageError) Unwrap() error { return e.cause }

func (e *stageError) public() error {
	return &voip.AvatarError{Reason: e.reason, Detail: e.detail}
}

func (e *stageError) private() voip.Private {
	if e.cause == nil {
		return ""
	}
	return voip.Private(e.cause.Error())
}

func fail(reason voip.AvatarReason, detail string, cause error) error {
	e := &stageError{reason: reason, detail: detail, cause: cause}
	switch reason {
	case voip.AvatarTimeout, voip.AvatarUnreachable, voip.AvatarInternal:
		e.lasting = lastsShort
	case voip.AvatarTooLarge, voip.AvatarUnsupportedType, voip.AvatarNotAnImage, voip.AvatarBadDimensions, voip.AvatarTooManyScans,
		voip.AvatarForbiddenAddress, voip.AvatarForbiddenURL, voip.AvatarNotFound, voip.AvatarHTTPStatus, voip.AvatarTooManyRedirects:
		e.lasting = lastsLong
	}
	return e
}

// noTime is the failure of a call or a load that had to wait for others here.
func noTime(detail string) error {
	return &stageError{reason: voip.AvatarTimeout, detail: detail, lasting: ofOurs}
}

// statusError is the failure of an answer by its status alone. Of the 4xx some
// say themselves that they pass.
func statusError(status int) error {
	e := &stageError{reason: voip.AvatarHTTPStatus, detail: answered(status), lasting: lastsLong}
	switch status {
	case http.StatusNotFound, http.StatusGone:
		e.reason = voip.AvatarNotFound
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		e.lasting = lastsShort
	default:
		if status >= http.StatusInternalServerError {
			e.lasting = lastsShort
		}
	}
	return e
}

// asFailure finds the stageError in err, through whatever wraps it.
func asFailure(err error) *stageError {
	if e, ok := errors.AsType[*stageError](err); ok {
		return e
	}
	return &stageError{reason: voip.AvatarInternal, detail: "an error that nobody expected", cause: err, lasting: lastsShort}
}
