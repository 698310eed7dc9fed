package avatar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"runtime/debug"

	"github.com/gen2brain/jpegn"
	"golang.org/x/image/webp"

	"github.com/voip-push/worker/internal/voip"
)

type rendition struct {
	picture voip.UserProfile
	err     error
}

// render decodes and renders in a goroutine as soon as there is room. When ctx
// ends first it returns without waiting, although a decode cannot be stopped:
// that goes on, bounded by the guards, and holds its room until it ends.
func (s *Stage) render(ctx context.Context, b []byte, head header, side int, h *hold) (voip.UserProfile, error) {
	leave, err := s.room.decoder(ctx, head)
	if err != nil {
		h.release()
		return voip.UserProfile{}, err
	}
	done := make(chan rendition, 1) // buffered: nobody may be waiting any more
	end := s.room.begin()
	go func() {
		defer end()
		defer h.release()
		defer leave()
		done <- s.renderSafely(ctx, b, head, side)
	}()
	select {
	case r := <-done:
		return r.picture, r.err
	case <-ctx.Done():
		return voip.UserProfile{}, noTime("decoding it took too long")
	}
}

// renderHere does the same on the goroutine of a load, which nobody has to wait for.
func (s *Stage) renderHere(ctx context.Context, b []byte, head header, side int) (voip.UserProfile, error) {
	leave, err := s.room.decoder(ctx, head)
	if err != nil {
		return voip.UserProfile{}, err
	}
	defer leave()
	r := s.renderSafely(ctx, b, head, side)
	return r.picture, r.err
}

func (s *Stage) renderSafely(ctx context.Context, b []byte, head header, side int) rendition {
	r := renderSafely(b, head, side)
	if f, ok := errors.AsType[*panicError](r.err); ok {
		s.log.ErrorContext(ctx, "avatar decoder panicked", "format", string(head.format), "panic", f.value, "stack", f.stack)
	}
	return r
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
	img, scale, err := decode(b, h, side)
	if err != nil {
		return rendition{err: err}
	}
	p, err := renderImage(img, h, scale, side)
	return rendition{picture: p, err: err}
}

// decode decodes what the guards let through; of a GIF the first frame. Of a
// JPEG scale × scale pixels may become one sample.
func decode(b []byte, h header, side int) (img image.Image, scale int, err error) {
	switch h.format {
	case formatJPEG:
		return decodeJPEG(b, h, side)
	case formatPNG:
		r := middle(image.Rect(0, 0, h.width, h.height))
		img, err = shrinkPNG(b, r, blockSize(r.Dx(), side))
	case formatGIF:
		img, err = decodeGIF(b)
	case formatWebP:
		img, err = webp.Decode(bytes.NewReader(b))
	case formatUnknown:
		return nil, 0, fail(voip.AvatarInternal, "the picture was not inspected", nil)
	}
	if err != nil {
		return nil, 0, decodeError(err)
	}
	return img, 1, nil
}

// decodeJPEG decodes to as small a picture as still has the samples that side
// asks for, if the picture is one of those that the quick decoders have right.
// What they refuse and what has no end is left to the standard one.
func decodeJPEG(b []byte, h header, side int) (image.Image, int, error) {
	if h.quick {
		scale := dctScale(min(h.width, h.height), side)
		img, err := decodeQuick(b, h, scale)
		if err == nil {
			return img, scale, nil
		}
		if h.strict > maxDecodedBytes {
			return nil, 0, undecodable("the JPEG cannot be decoded", err)
		}
	}
	// An end is put to those that have none; after an end it is not read.
	img, err := jpeg.Decode(io.MultiReader(bytes.NewReader(b), bytes.NewReader([]byte{0xff, mEOI})))
	if err != nil {
		return nil, 0, decodeError(err)
	}
	return img, 1, nil
}

// decodeQuick is strict: jpegn, which shows what is damaged as far as it goes,
// has what was read over to its end.
func decodeQuick(b []byte, h header, scale int) (image.Image, error) {
	if scale > 1 || h.progressive {
		return decodeReduced(b, scale)
	}
	if _, err := decodeReduced(b, 8); err != nil {
		return nil, err
	}
	return jpegn.Decode(bytes.NewReader(b), &jpegn.Options{ScaleDenom: 1})
}

// decodeError tells what a decoder does not know from what is broken.
func decodeError(err error) error {
	if _, unknown := errors.AsType[jpeg.UnsupportedError](err); unknown {
		return fail(voip.AvatarUnsupportedType, "the decoder does not support it", err)
	}
	return undecodable("the picture cannot be decoded", err)
}
