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
	room      *room
}

func newFetcher(p urlPolicy, r *room) *fetcher {
	return &fetcher{policy: p, transport: newTransport(newDialer(newDialGuard(p))), room: r}
}

// answer is what a host said: a body, or that what the validators stand for is
// still good.
type answer struct {
	body
	header    http.Header
	unchanged bool
}

// get fetches u, following at most two redirects, each judged like the first
// URL. A body whose size is over the limit is not whole. The hold is the
// caller's to release.
func (f *fetcher) get(ctx context.Context, u *url.URL, limit int64, tags validators, h *hold) (answer, error) {
	for range maxRedirects + 1 {
		a, next, err := f.hop(ctx, u, limit, tags, h)
		if err != nil || next == nil {
			return a, err
		}
		u = next
	}
	return answer{}, fail(voip.AvatarTooManyRedirects, "there were more than 2 redirects", nil)
}

// hop makes one exchange: an answer, or where to look next.
func (f *fetcher) hop(ctx context.Context, u *url.URL, limit int64, tags validators, h *hold) (answer, *url.URL, error) {
	h.host = hostOf(u)
	leave, err := f.room.enter(ctx, h.host)
	if err != nil {
		return answer{}, nil, err
	}
	defer leave()
	req, err := newRequest(ctx, u, tags)
	if err != nil {
		return answer{}, nil, forbidden("the URL makes no request", err)
	}
	// Not through http.Client: it would send Referer, the URL of the hop before.
	resp, err := f.transport.RoundTrip(req)
	if err != nil {
		return answer{}, nil, classify(ctx, err)
	}
	defer resp.Body.Close()
	if location := resp.Header.Get("Location"); location != "" && isRedirect(resp.StatusCode) {
		next, err := f.redirect(u, location)
		return answer{}, next, err
	}
	if resp.StatusCode == http.StatusNotModified && !tags.none() {
		return answer{header: resp.Header, unchanged: true}, nil, nil
	}
	if err := answerError(resp); err != nil {
		return answer{}, nil, err
	}
	b, err := readBody(ctx, resp.Body, resp.ContentLength, limit, h)
	if err != nil {
		return answer{body: b}, nil, classify(ctx, err)
	}
	return answer{body: b, header: resp.Header}, nil, nil
}

func newRequest(ctx context.Context, u *url.URL, tags validators) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "image/jpeg, image/png, image/webp, image/gif")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "voip-push-worker")
	tags.set(req.Header)
	return req, nil
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
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.StatusCode)
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
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
