package avatar

import (
	"errors"

	"github.com/voip-push/worker/internal/voip"
)

// stageError is why an avatar failed. Its text is fit for a result; what the
// network, a resolver or a decoder said is kept apart in cause, since it may
// hold the URL or its host.
type stageError struct {
	reason voip.AvatarReason
	detail string
	cause  error
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
	return &stageError{reason: reason, detail: detail, cause: cause}
}

// asFailure finds the stageError in err, through whatever wraps it.
func asFailure(err error) *stageError {
	if e, ok := errors.AsType[*stageError](err); ok {
		return e
	}
	return &stageError{reason: voip.AvatarInternal, detail: "an error that nobody expected", cause: err}
}
