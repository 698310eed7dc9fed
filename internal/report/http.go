package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"

	"go.opentelemetry.io/otel/propagation"

	"github.com/voip-push/worker/internal/voip"
)

// maxAnswerBytes bounds what is read of an answer: it is four fields.
const maxAnswerBytes = 64 << 10

// HTTPConfig says where the bridge is, and how to reach it.
type HTTPConfig struct {
	URL         string
	TokenFile   string // empty: no token is sent
	CAFile      string // empty: the system's authorities
	Concurrency int    // connections that are kept open
}

// HTTP posts requests to a bridge.
type HTTP struct {
	url    string
	token  *token // nil: none
	client *http.Client
	log    *slog.Logger
}

// NewHTTP makes the transport. Its error names what is wrong with the settings.
func NewHTTP(cfg HTTPConfig, log *slog.Logger) (*HTTP, error) {
	t := &HTTP{url: cfg.URL, log: log}
	roots, err := loadRoots(cfg.CAFile)
	errs := []error{checkURL(cfg.URL), err}
	if cfg.Concurrency < 1 {
		errs = append(errs, fmt.Errorf("report: Concurrency is %d, want at least 1", cfg.Concurrency))
	}
	if cfg.TokenFile != "" {
		t.token, err = newToken(cfg.TokenFile, log)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t.client = &http.Client{
		Transport:     newPool(roots, cfg.Concurrency),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return t, nil
}

// Close closes the connections that are idle.
func (t *HTTP) Close() { t.client.CloseIdleConnections() }

// Report posts the request and reads the answer, until ctx ends.
func (t *HTTP) Report(ctx context.Context, req *voip.Request) (voip.Answer, error) {
	body, err := req.Encode()
	if err != nil {
		return voip.Answer{}, unwritable()
	}
	var connected atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	post, err := t.newRequest(ctx, body, req.IdempotencyKey)
	if err != nil {
		return voip.Answer{}, notArrived("the HTTP request cannot be made; check the report URL")
	}
	resp, err := t.client.Do(post)
	if err != nil {
		return voip.Answer{}, httpError(err, connected.Load())
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return voip.Answer{}, statusError(resp.StatusCode, retryAfter(resp.Header.Get("Retry-After")))
	}
	if err != nil {
		return voip.Answer{}, unknownOutcome("the answer broke off")
	}
	if len(answer) > maxAnswerBytes {
		return voip.Answer{}, &voip.ReportError{
			Reason: voip.ReasonReportRejected, Arrival: voip.Answered,
			Detail: fmt.Sprintf("an answer of more than %d bytes", maxAnswerBytes),
		}
	}
	return readAnswer(ctx, answer, t.log)
}

func (t *HTTP) newRequest(ctx context.Context, body []byte, key string) (*http.Request, error) {
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	post.Header.Set("Content-Type", "application/json")
	post.Header.Set("Accept", "application/json")
	// In lower case, which means the same on the wire. In its canonical form
	// net/http takes it for leave to post again by itself after a reset: an
	// unknown outcome that nobody would know of.
	post.Header["idempotency-key"] = []string{key}
	handOn(ctx, propagation.HeaderCarrier(post.Header))
	if t.token != nil {
		post.Header.Set("Authorization", "Bearer "+t.token.get(ctx))
	}
	return post, nil
}

// httpError sorts the client's errors by whether the request may have arrived.
// Only what happened before there was a connection is told in the client's
// words: later errors may repeat what the far side sent, and all name the URL.
func httpError(err error, connected bool) *voip.ReportError {
	var timeout net.Error
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.As(err, &timeout) && timeout.Timeout()
	switch {
	case !connected && late:
		return notArrived("no connection to the bridge in time")
	case !connected:
		if outer, ok := errors.AsType[*url.Error](err); ok {
			err = outer.Err
		}
		return notArrived(fmt.Sprintf("no connection to the bridge: %v", err))
	case late:
		return unknownOutcome("no answer from the bridge in time")
	default:
		return unknownOutcome("the connection to the bridge broke before its answer, or what came is no HTTP")
	}
}
