package avatar

import (
	"context"
	"log/slog"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/voip-push/worker/internal/voip"
)

// The sides that a picture can have, in px: 32vp at the densities 0.5 to 4.0.
const (
	MinSide = 16
	MaxSide = 128
)

// Stage fetches, checks and renders avatars. It is safe for concurrent use.
type Stage struct {
	cfg      Config
	log      *slog.Logger
	recorder Recorder
	fetch    *fetcher
	room     *room
	cache    *cache             // nil: none
	flights  singleflight.Group // of loads, by key
	standIn  *standIn
	closing  chan struct{}
	close    sync.Once
}

// Picture returns the picture to send and what the result says of it. side is
// in px; what is outside 16 to 128 counts as the nearer of the two. The
// picture's Data and the result's Source are shared between calls and must not
// be written to.
//
// With PolicyFit the error is always nil: the default picture stands in for an
// avatar that fails. With PolicyStrict an avatar that fails is a
// *voip.AvatarError; there is no picture then, and of the result the status
// ("fallback", there being none for it), the reason and the source are set.
//
// It returns within AVATAR_TIMEOUT or ctx's deadline, whichever is first. A
// fetch or decode that is under way then goes on alone, within AVATAR_TIMEOUT
// and one decode; of a URL the next call finds what came of it.
func (s *Stage) Picture(ctx context.Context, a voip.Avatar, side int) (voip.UserProfile, voip.AvatarResult, error) {
	side = min(max(side, MinSide), MaxSide)
	if !a.Given {
		p := s.standIn.picture(side)
		return p, resultOf(p, voip.AvatarNone), nil
	}
	o := s.own(ctx, a.Source, side)
	if o.failure == nil {
		r := resultOf(o.picture, voip.AvatarOK)
		r.Source, r.Cached = o.source, o.cached
		return o.picture, r, nil
	}
	return s.failed(ctx, a, side, o)
}

// Close waits until the fetches and decodes that calls have left behind have
// ended, and closes idle connections. Picture must not be called any more.
func (s *Stage) Close(ctx context.Context) error {
	defer s.fetch.transport.CloseIdleConnections()
	s.close.Do(func() { close(s.closing) })
	return s.room.idle(ctx)
}

func (s *Stage) failed(ctx context.Context, a voip.Avatar, side int, o outcome) (voip.UserProfile, voip.AvatarResult, error) {
	f := o.failure
	s.log.DebugContext(ctx, "avatar failed", "reason", string(f.reason), "detail", f.detail,
		"source", voip.Private(a.Source), "cause", f.private(), "cached", o.cached)
	if s.cfg.Policy == PolicyStrict {
		r := voip.AvatarResult{Status: voip.AvatarFallback, Reason: f.reason, Source: o.source, Cached: o.cached}
		return voip.UserProfile{}, r, f.public()
	}
	p := s.standIn.picture(side)
	r := resultOf(p, voip.AvatarFallback)
	r.Reason, r.Source, r.Cached = f.reason, o.source, o.cached
	return p, r, nil
}

// own is the caller's own picture.
func (s *Stage) own(ctx context.Context, source string, side int) outcome {
	read := s.localSource(source)
	if read == nil {
		return s.fetched(ctx, source, side)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	h := hold{room: s.room}
	b, err := read(ctx, &h)
	picture, about, err := s.judge(b, err, func(head header) (voip.UserProfile, error) {
		return s.render(ctx, b.data, head, side, &h)
	})
	if err != nil {
		return outcome{source: about, failure: asFailure(err)}
	}
	return outcome{picture: picture, source: about}
}

// judge renders what was read, unless reading failed or a guard refuses it.
// The source is nil when no byte was read.
func (s *Stage) judge(b body, err error, render func(header) (voip.UserProfile, error)) (voip.UserProfile, *voip.AvatarSource, error) {
	h, bad := inspect(b.data)
	about := s.describe(b, h)
	switch limit := s.cfg.readLimit(); {
	case err != nil:
		return voip.UserProfile{}, about, err
	case b.size > limit:
		return voip.UserProfile{}, about, fail(voip.AvatarTooLarge, "the picture is over the limit of "+bytesText(limit), nil)
	case bad != nil:
		return voip.UserProfile{}, about, bad
	}
	p, err := render(h)
	return p, about, err
}

func (s *Stage) describe(b body, h header) *voip.AvatarSource {
	if b.size == 0 {
		return nil
	}
	return &voip.AvatarSource{
		ContentType: h.format.contentType(), Width: h.width, Height: h.height,
		Bytes: int(b.size), OverLimit: b.size > s.cfg.MaxBytes,
	}
}

func resultOf(p voip.UserProfile, status voip.AvatarStatus) voip.AvatarResult {
	return voip.AvatarResult{Status: status, ContentType: p.ContentType, Width: p.Width, Height: p.Height, Bytes: len(p.Data)}
}
