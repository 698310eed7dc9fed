package avatar

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/voip-push/worker/internal/voip"
)

const maxRedirects = 2

// fetcher gets pictures over HTTP.
type fetcher struct {
	policy    urlPolicy
	transport *http.Transport
}

func newFetcher(p urlPolicy) *fetcher {
	return &fetcher{policy: p, transport: newTransport(newDialer(newDialGuard(p)))}
}

// get fetches raw, following at most two redirects, each judged like the first
// URL. A body whose size is over the limit is not whole.
func (f *fetcher) get(ctx context.Context, raw string, limit int64) (body, error) {
	u, err := f.policy.check(raw)
	if err != nil {
		return body{}, err
	}
	for range maxRedirects + 1 {
		b, next, err := f.hop(ctx, u, limit)
		if err != nil || next == nil {
			return b, err
		}
		u = next
	}
	return body{}, fail(voip.AvatarTooManyRedirects, "there were more than 2 redirects", nil)
}

// hop makes one exchange: a body, or where to look next.
func (f *fetcher) hop(ctx context.Context, u *url.URL, limit int64) (body, *url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return body{}, nil, forbidden("the URL makes no request", err)
	}
	req.Header.Set("Accept", "image/jpeg, image/png, image/webp, image/gif")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "voip-push-worker")
	// Not through http.Client: it would send Referer, the URL of the hop before.
	resp, err := f.transport.RoundTrip(req)
	if err != nil {
		return body{}, nil, classify(ctx, err)
	}
	defer resp.Body.Close()
	if location := resp.Header.Get("Location"); location != "" && isRedirect(resp.StatusCode) {
		next, err := f.redirect(u, location)
		return body{}, next, err
	}
	if err := answerError(resp); err != nil {
		return body{}, nil, err
	}
	b, err := readBody(resp.Body, resp.ContentLength, limit)
	if err != nil {
		return b, nil, classify(ctx, err)
	}
	return b, nil, nil
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	default:
		return false
	}
}

func (f *fetcher) redirect(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	if err != nil {
		return nil, forbidden("the redirect cannot be parsed", err)
	}
	if from.Scheme == schemeHTTPS && to.Scheme == schemeHTTP {
		return nil, forbidden("the redirect leads from https to http", nil)
	}
	return f.policy.check(to.String())
}

// answerError refuses every answer but a plain 200. One that is compressed
// although identity was asked for is no answer to the request: http_status.
func answerError(resp *http.Response) error {
	switch encoding := resp.Header.Get("Content-Encoding"); {
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return fail(voip.AvatarNotFound, answered(resp.StatusCode), nil)
	case resp.StatusCode != http.StatusOK:
		return fail(voip.AvatarHTTPStatus, answered(resp.StatusCode), nil)
	case encoding != "" && encoding != "identity":
		return fail(voip.AvatarHTTPStatus, "the answer has a content encoding", nil)
	}
	return nil
}

func answered(status int) string { return "the host answered " + strconv.Itoa(status) }

// classify finds the reason in what the transport says; the dial guard's own
// error comes through net.OpError.
func classify(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*stageError](err); ok {
		return e
	}
	if timeout, ok := errors.AsType[net.Error](err); ctx.Err() != nil || ok && timeout.Timeout() {
		return fail(voip.AvatarTimeout, "the host did not answer in time", err)
	}
	return fail(voip.AvatarUnreachable, "the host gave no answer", err)
}
