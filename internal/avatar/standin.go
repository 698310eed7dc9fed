package avatar

import (
	"context"
	"fmt"
	"image"
	"sync"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// defaultSide is 32vp at the default density, 3.5.
const defaultSide = 112

// standIn is the default picture in every size: the usual one is made before
// the first call, the others one by one in the seconds after it. Whoever asks
// sooner makes it.
type standIn struct {
	master square
	sides  [MaxSide - MinSide + 1]struct {
		once    sync.Once
		picture voip.UserProfile
	}
}

// builtIn is drawn once for all stages of a process: it is always the same.
//
//nolint:gochecknoglobals // a constant that is computed when it is first asked for
var builtIn = sync.OnceValue(func() *standIn { return newStandIn(silhouette(2 * MaxSide)) })

// newStandIn is the built-in picture, or the one that AVATAR_DEFAULT names,
// read through the same guards as any other.
func (s *Stage) newStandIn() (*standIn, error) {
	if s.cfg.Default == "" {
		return builtIn(), nil
	}
	name, _ := cutScheme(s.cfg.Default, schemeResource)
	master, err := s.readMaster(name)
	if err != nil {
		return nil, fmt.Errorf("AVATAR_DEFAULT is %q, want a picture that can be used: %w", s.cfg.Default, err)
	}
	return newStandIn(master), nil
}

func newStandIn(master square) *standIn {
	d := &standIn{master: master}
	d.picture(defaultSide)
	return d
}

func (s *Stage) readMaster(name string) (square, error) {
	held := hold{room: s.room}
	defer held.release()
	b, err := readResource(context.Background(), s.cfg.ResourceDir, name, s.cfg.readLimit(), &held)
	if err != nil {
		return square{}, err
	}
	if b.size > s.cfg.readLimit() {
		return square{}, fail(voip.AvatarTooLarge, "it is over the limit of "+bytesText(s.cfg.readLimit()), nil)
	}
	h, err := inspect(b.data)
	if err != nil {
		return square{}, err
	}
	side := min(h.width, h.height, 2*MaxSide)
	img, scale, err := decode(b.data, h, side)
	if err != nil {
		return square{}, err
	}
	v := view{screen: image.Rect(0, 0, h.width, h.height), scale: scale}
	m := orient(small(img, v, h.format == formatWebP, side), h.orientation)
	return square{RGBA: m, extent: float64(side), block: 1}, nil
}

// prepare makes all sizes, unless it is told to stop. At once they would be 0.2 s
// of CPU that a worker which finds a backlog has better use for.
func (d *standIn) prepare(stop <-chan struct{}) {
	t := time.NewTicker(preparePace)
	defer t.Stop()
	for side := MinSide; side <= MaxSide; side++ {
		select {
		case <-t.C:
			d.picture(side)
		case <-stop:
			return
		}
	}
}

const preparePace = 100 * time.Millisecond

// picture is the default picture of a side, which has to be within 16 to 128.
func (d *standIn) picture(side int) voip.UserProfile {
	p := &d.sides[side-MinSide]
	p.once.Do(func() {
		// Encoding pixels to memory cannot fail, and an empty picture would still be sent.
		p.picture, _ = encode(resample(d.master, side))
	})
	return p.picture
}

// The built-in picture: a head and shoulders, light on grey, in shares of the side.
const (
	headX, headY, headR          = 0.5, 0.39, 0.185
	bodyX, bodyY, bodyRX, bodyRY = 0.5, 1.0, 0.36, 0.33
	ground, figure               = 0x9a, 0xec
	samplesPerSide, samplesTotal = 4, 16
)

// silhouette draws the built-in picture; every pixel is the mean of 16 points.
func silhouette(side int) square {
	m := image.NewRGBA(image.Rect(0, 0, side, side))
	for i := range side * side {
		inside := 0
		for s := range samplesTotal {
			x := (float64(i%side) + (float64(s%samplesPerSide)+0.5)/samplesPerSide) / float64(side)
			y := (float64(i/side) + (float64(s/samplesPerSide)+0.5)/samplesPerSide) / float64(side)
			if inEllipse(x-headX, y-headY, headR, headR) || inEllipse(x-bodyX, y-bodyY, bodyRX, bodyRY) {
				inside++
			}
		}
		grey := uint8(ground + (figure-ground)*inside/samplesTotal)
		copy(m.Pix[4*i:], []byte{grey, grey, grey + grey/64, 0xff})
	}
	return square{RGBA: m, extent: float64(side), block: 1}
}

func inEllipse(x, y, rx, ry float64) bool { return x*x/(rx*rx)+y*y/(ry*ry) <= 1 }
