package avatar

import (
	"context"
	"log/slog"

	"github.com/voip-push/worker/internal/voip"
)

// The sides that a picture can have, in px: 32vp at the densities 0.5 to 4.0.
const (
	MinSide = 16
	MaxSide = 128
)

// Stage fetches, checks and renders avatars. It is safe for concurrent use.
type Stage struct {
	cfg     Config
	log     *slog.Logger
	fetch   *fetcher
	slots   chan struct{} // one for each decode under way
	standIn *standIn
}

// Picture returns the picture to send and what the result says of it. side is
// in px; what is outside 16 to 128 counts as the nearer of the two. The
// picture's Data is shared between calls and must not be written to.
//
// With PolicyFit the error is always nil: the default picture stands in for an
// avatar that fails. With PolicyStrict an avatar that fails is a
// *voip.AvatarError; there is no picture then, and of the result the status
// ("fallback", there being none for it), the reason and the source are set.
//
// It returns within AVATAR_TIMEOUT or ctx's deadline, whichever is first. A
// decode that is under way then goes on alone, holding its slot, and its
// picture is dropped.
func (s *Stage) Picture(ctx context.Context, a voip.Avatar, side int) (voip.UserProfile, voip.AvatarResult, error) {
	side = min(max(side, MinSide), MaxSide)
	if !a.Given {
		p := s.standIn.picture(side)
		return p, resultOf(p, voip.AvatarNone), nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	p, source, err := s.own(ctx, a.Source, side)
	if err == nil {
		r := resultOf(p, voip.AvatarOK)
		r.Source = source
		return p, r, nil
	}
	f := asFailure(err)
	s.log.DebugContext(ctx, "avatar failed", "reason", string(f.reason), "detail", f.detail,
		"source", voip.Private(a.Source), "cause", f.private())
	if s.cfg.Policy == PolicyStrict {
		r := voip.AvatarResult{Status: voip.AvatarFallback, Reason: f.reason, Source: source}
		return voip.UserProfile{}, r, f.public()
	}
	p = s.standIn.picture(side)
	r := resultOf(p, voip.AvatarFallback)
	r.Reason, r.Source = f.reason, source
	return p, r, nil
}

// own is the caller's own picture. The source is nil when no byte was read.
func (s *Stage) own(ctx context.Context, source string, side int) (voip.UserProfile, *voip.AvatarSource, error) {
	limit := s.cfg.readLimit()
	b, err := s.read(ctx, source, limit)
	h, bad := inspect(b.data)
	about := s.describe(b, h)
	switch {
	case err != nil:
		return voip.UserProfile{}, about, err
	case b.size > limit:
		return voip.UserProfile{}, about, fail(voip.AvatarTooLarge, "the picture is over the limit of "+bytesText(limit), nil)
	case bad != nil:
		return voip.UserProfile{}, about, bad
	}
	p, err := s.render(ctx, b.data, h, side)
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
