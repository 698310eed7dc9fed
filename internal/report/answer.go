package report

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// statusError is what an HTTP status other than 2xx means, whether it came
// over HTTP or as the error code of a NATS micro service.
//
// What the fleet itself gets wrong (a token, a URL) is no fault of the call:
// it is REPORT_UNAVAILABLE, and the call waits for somebody to mend it. A
// redirect is such a fault as well: it is not followed, since the request
// would carry the token elsewhere, and mostly it leads to a login page.
func statusError(status int, retryAfter time.Duration) *voip.ReportError {
	e := &voip.ReportError{Detail: statusDetail(status)}
	switch status {
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		e.Reason, e.Arrival = voip.ReasonReportUnavailable, voip.MayHaveArrived
	case http.StatusTooManyRequests:
		e.Reason, e.Arrival, e.RetryAfter, e.Busy = voip.ReasonReportUnavailable, voip.TurnedAway, retryAfter, true
	case http.StatusTooEarly:
		e.Reason, e.Arrival, e.Busy = voip.ReasonReportUnavailable, voip.TurnedAway, true
	case http.StatusServiceUnavailable:
		e.Reason, e.Arrival, e.RetryAfter = voip.ReasonReportUnavailable, voip.TurnedAway, retryAfter
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		e.Reason, e.Arrival = voip.ReasonReportUnavailable, voip.TurnedAway
	case http.StatusConflict:
		e.Reason, e.Arrival, e.Duplicate = voip.ReasonReportRejected, voip.Answered, true
	default:
		e.Reason, e.Arrival = otherStatus(status)
	}
	return e
}

// otherStatus: a refusal of this very request is final. Any other 5xx was an
// answer that the far side does not keep.
func otherStatus(status int) (voip.Reason, voip.Arrival) {
	if status >= 400 && status <= 499 {
		return voip.ReasonReportRejected, voip.Answered
	}
	return voip.ReasonReportUnavailable, voip.TurnedAway
}

// isStatus says whether n is the status of an HTTP answer that is no success.
func isStatus(n int) bool { return n >= 300 && n <= 599 }

func statusDetail(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("status %d (%s)", status, text)
	}
	return fmt.Sprintf("status %d", status)
}

// maxShown bounds what of an answer that cannot be read is logged.
const maxShown = 1 << 10

// readAnswer reads an answer. One that cannot be read is final: the far side
// has the call, and says something that we do not understand. What it said may
// hold a name, and is seen by whoever asked for private values in the log.
func readAnswer(ctx context.Context, body []byte, log *slog.Logger) (voip.Answer, error) {
	a, err := voip.DecodeAnswer(body)
	if err != nil {
		log.LogAttrs(ctx, slog.LevelWarn, "an answer to a report cannot be read",
			slog.Int("bytes", len(body)), slog.Any("answer", voip.Private(body[:min(len(body), maxShown)])))
		return voip.Answer{}, &voip.ReportError{Reason: voip.ReasonReportRejected, Arrival: voip.Answered, Detail: err.Error()}
	}
	return a, nil
}

// unwritable: data that is no JSON. The same bytes cannot become valid.
func unwritable() *voip.ReportError {
	return &voip.ReportError{Reason: voip.ReasonReportRejected, Detail: "the request cannot be written as JSON"}
}

// notArrived is the failure of an attempt that reached nobody.
func notArrived(detail string) *voip.ReportError {
	return &voip.ReportError{Reason: voip.ReasonReportUnavailable, Arrival: voip.NotArrived, Detail: detail}
}
