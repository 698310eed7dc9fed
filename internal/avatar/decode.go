package avatar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime/debug"

	"golang.org/x/image/webp"

	"github.com/voip-push/worker/internal/voip"
)

type rendition struct {
	picture voip.UserProfile
	err     error
}

// render decodes and renders as soon as a slot is free. When ctx ends first it
// returns without waiting, although a decode cannot be stopped: that goes on,
// bounded by the guards, and holds its slot until it ends.
func (s *Stage) render(ctx context.Context, b []byte, h header, side int) (voip.UserProfile, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return voip.UserProfile{}, fail(voip.AvatarTimeout, "there was no time left to decode it", nil)
	}
	done := make(chan rendition, 1) // buffered: nobody may be waiting any more
	go func() {
		defer func() { <-s.slots }()
		done <- renderSafely(b, h, side)
	}()
	select {
	case r := <-done:
		if f, ok := errors.AsType[*panicError](r.err); ok {
			s.log.ErrorContext(ctx, "avatar decoder panicked", "format", string(h.format), "panic", f.value, "stack", f.stack)
		}
		return r.picture, r.err
	case <-ctx.Done():
		return voip.UserProfile{}, fail(voip.AvatarTimeout, "decoding it took too long", nil)
	}
}

// panicError is a panic of a decoder.
type panicError struct {
	value string
	stack string
}

func (e *panicError) Error() string { return "panic: " + e.value }

// renderSafely turns a panic into the reason internal.
func renderSafely(b []byte, h header, side int) (r rendition) {
	defer func() {
		if v := recover(); v != nil {
			cause := &panicError{value: fmt.Sprint(v), stack: string(debug.Stack())}
			r = rendition{err: fail(voip.AvatarInternal, "the decoder failed", cause)}
		}
	}()
	img, err := decode(b, h)
	if err != nil {
		return rendition{err: err}
	}
	p, err := renderImage(img, h, side)
	return rendition{picture: p, err: err}
}

// decode decodes what the guards let through; of a GIF the first frame.
func decode(b []byte, h header) (img image.Image, err error) {
	switch h.format {
	case formatJPEG:
		// An end is put to those that have none; after an end it is not read.
		img, err = jpeg.Decode(io.MultiReader(bytes.NewReader(b), bytes.NewReader([]byte{0xff, mEOI})))
	case formatPNG:
		img, err = png.Decode(bytes.NewReader(b))
	case formatGIF:
		img, err = gif.Decode(bytes.NewReader(b))
	case formatWebP:
		img, err = webp.Decode(bytes.NewReader(b))
	case formatUnknown:
		return nil, fail(voip.AvatarInternal, "the picture was not inspected", nil)
	}
	if err != nil {
		return nil, decodeError(err)
	}
	return img, nil
}

// decodeError tells what a decoder does not know from what is broken.
func decodeError(err error) error {
	_, unknownJPEG := errors.AsType[jpeg.UnsupportedError](err)
	_, unknownPNG := errors.AsType[png.UnsupportedError](err)
	if unknownJPEG || unknownPNG {
		return fail(voip.AvatarUnsupportedType, "the decoder does not support it", err)
	}
	return undecodable("the picture cannot be decoded", err)
}
