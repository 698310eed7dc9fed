package avatar

import (
	"context"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// outcome is what became of one call's avatar: a picture, or a failure.
type outcome struct {
	picture voip.UserProfile
	source  *voip.AvatarSource // nil when no byte was read
	failure *stageError
	cached  bool // the host was not asked, or had nothing newer
}

// look is how one lookup ended: what to answer, and what it counts as.
type look struct {
	entry  *entry
	result string
}

func (l look) outcome() outcome { return l.entry.outcome(l.result != lookupMiss) }

// fetched is the picture behind a URL: as it is known, or as the host has it
// now. Calls that need the same one at the same time share one fetch; each
// leaves at its own deadline, and the fetch goes on for the others and for the
// cache.
func (s *Stage) fetched(ctx context.Context, source string, side int) outcome {
	canonical := source
	var u *url.URL
	var err error
	if !isCanonical(source) {
		if u, err = s.fetch.policy.check(source); err != nil {
			return outcome{failure: asFailure(err)}
		}
		canonical = canonicalURL(u)
	}
	k := keyOf(canonical, side)
	old := s.cache.get(k)
	if old != nil && time.Now().Before(old.until) {
		s.recorder.AvatarCache(old.result())
		return old.outcome(true)
	}
	if u == nil {
		if u, err = s.fetch.policy.check(source); err != nil {
			return outcome{failure: asFailure(err)}
		}
	}
	l := s.join(ctx, u, k, side, old)
	if s.cache != nil {
		s.recorder.AvatarCache(l.result)
	}
	return l.outcome()
}

// join starts a load or waits for the one that is under way.
func (s *Stage) join(ctx context.Context, u *url.URL, k key, side int, old *entry) look {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	late := asFailure(noTime("the host did not answer in time"))
	if ctx.Err() != nil {
		return failedLook(old, late, nil)
	}
	loaded := s.flights.DoChan(string(k[:]), func() (any, error) { return s.load(context.WithoutCancel(ctx), u, k, side), nil })
	select {
	case r := <-loaded:
		l, _ := r.Val.(look)
		return l
	case <-ctx.Done():
		return failedLook(old, late, nil)
	}
}

// load asks the host, on its own budget, and remembers what came of it. Its
// goroutine ends within that budget and one decode.
func (s *Stage) load(ctx context.Context, u *url.URL, k key, side int) (l look) {
	defer s.room.begin()()
	var old *entry
	defer func() {
		if v := recover(); v != nil { // a panic here would end the process
			s.log.ErrorContext(ctx, "avatar load panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			l = failedLook(old, asFailure(fail(voip.AvatarInternal, "the load failed", nil)), nil)
		}
	}()
	old = s.cache.get(k)
	if old != nil && time.Now().Before(old.until) {
		return look{entry: old, result: old.result()} // a load ended after this call had looked
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	l = s.ask(ctx, u, side, old)
	if !l.entry.until.IsZero() {
		s.cache.put(k, l.entry)
	}
	return l
}

// ask asks the host for a picture, or whether the old one is still good.
func (s *Stage) ask(ctx context.Context, u *url.URL, side int, old *entry) look {
	var tags validators
	if old != nil && old.failure == nil {
		tags = old.tags
	}
	h := hold{room: s.room, host: hostOf(u)}
	defer h.release()
	a, err := s.fetch.get(ctx, u, s.cfg.readLimit(), tags, &h)
	if err == nil && a.unchanged {
		return look{entry: old.renewed(a, s.cfg.CacheTTL), result: lookupRevalidated}
	}
	picture, about, err := s.judge(a.body, err, func(head header) (voip.UserProfile, error) {
		return s.renderHere(ctx, a.data, head, side)
	})
	if err != nil {
		f := asFailure(err)
		s.log.DebugContext(ctx, "avatar fetch failed", "reason", string(f.reason), "detail", f.detail, "cause", f.private())
		return failedLook(old, f, about)
	}
	e := &entry{picture: picture, source: about}
	return look{entry: e.renewed(a, s.cfg.CacheTTL), result: lookupMiss}
}

// renewed is e with the freshness that the answer gives it.
func (e *entry) renewed(a answer, ours time.Duration) *entry {
	n := *e
	n.stale = false
	n.until = time.Now().Add(freshFor(a.header, ours))
	n.standsIn = n.until.Add(maxStale)
	if tags := validatorsOf(a.header); !tags.none() || !a.unchanged {
		n.tags = tags
	}
	return &n
}

// failedLook is what a failed look leaves: the old picture, unless it is too
// old or the host says that it is gone, else the failure.
func failedLook(old *entry, f *stageError, about *voip.AvatarSource) look {
	now := time.Now()
	var until time.Time
	if d := remember(f); d > 0 {
		until = now.Add(d)
	}
	if old != nil && old.failure == nil && f.reason != voip.AvatarNotFound && now.Before(old.standsIn) {
		n := *old
		n.stale, n.until = true, until
		return look{entry: &n, result: lookupStale}
	}
	kept := *f
	kept.cause = nil // it may hold the URL
	return look{entry: &entry{failure: &kept, source: about, until: until}, result: lookupMiss}
}

// isCanonical says of most URLs, without taking them apart, that they are
// their own canonical form: scheme and host in lower case, no port, a path.
func isCanonical(raw string) bool {
	rest, ok := strings.CutPrefix(raw, schemeHTTPS+"://")
	if !ok {
		return false
	}
	for i := range len(rest) {
		switch c := rest[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '.':
		default:
			return c == '/' && i > 0
		}
	}
	return false
}

// canonicalURL is u without what makes no difference (RFC 3986, 6.2.2.1 and
// 6.2.3): the case of scheme and host, the scheme's own port, an empty path.
func canonicalURL(u *url.URL) string {
	c := *u
	c.Host = strings.ToLower(c.Host)
	own := ":443"
	if c.Scheme == schemeHTTP {
		own = ":80"
	}
	c.Host = strings.TrimSuffix(c.Host, own)
	if c.Path == "" {
		c.Path = "/"
	}
	return c.String()
}

func hostOf(u *url.URL) string { return strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")) }
