package avatar

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/voip-push/worker/internal/voip"
)

// The forms of an avatar's source, without their colon.
const (
	schemeHTTPS    = "https"
	schemeHTTP     = "http"
	schemeData     = "data"
	schemeResource = "resource"
)

// headBytes is what is read of a source that says at once that it is over the
// limit: enough to tell its type and dimensions.
const headBytes = 64 << 10

// body is what was read of a source.
type body struct {
	data []byte
	size int64 // of the whole, as far as known; never less than len(data)
}

// localSource gives the reader of a source that is not fetched, nil for one
// that is. A body whose size is over the limit is not whole.
func (s *Stage) localSource(source string) func(context.Context, *hold) (body, error) {
	if rest, ok := cutScheme(source, schemeData); ok {
		return func(context.Context, *hold) (body, error) { return readData(rest) }
	}
	if name, ok := cutScheme(source, schemeResource); ok {
		return func(ctx context.Context, h *hold) (body, error) {
			return readResource(ctx, s.cfg.ResourceDir, name, s.cfg.readLimit(), h)
		}
	}
	return nil
}

func cutScheme(source, scheme string) (rest string, ok bool) {
	n := len(scheme)
	if len(source) > n && source[n] == ':' && strings.EqualFold(source[:n], scheme) {
		return source[n+1:], true
	}
	return "", false
}

// readData reads what follows "data:": image/…;base64,… in the standard
// alphabet, with or without its padding. The declared type is not looked at.
// Anything but that form is forbidden_url; text that is no base64 is
// not_an_image.
func readData(rest string) (body, error) {
	meta, text, found := strings.Cut(rest, ",")
	meta = strings.ToLower(meta)
	if !found || !strings.HasPrefix(meta, "image/") || !strings.HasSuffix(meta, ";base64") {
		return body{}, fail(voip.AvatarForbiddenURL, "a data URL has to be data:image/…;base64,…", nil)
	}
	if len(text)%4 == 0 {
		text = strings.TrimSuffix(strings.TrimSuffix(text, "="), "=")
	}
	data, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil {
		return body{}, fail(voip.AvatarNotAnImage, "the data URL's base64 cannot be decoded", err)
	}
	return body{data: data, size: int64(len(data))}, nil
}

// readResource reads a file in dir, as Call Kit's getRawFileContent does with
// the application's own. A name that could lead out of dir is forbidden_url; a
// name that is not there, or is no regular file, or that links lead out of
// dir, is not_found.
func readResource(ctx context.Context, dir, name string, limit int64, h *hold) (body, error) {
	if name == "" || !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") {
		return body{}, fail(voip.AvatarForbiddenURL, "a resource has to be a name below the resource directory", nil)
	}
	if dir == "" {
		return body{}, fail(voip.AvatarNotFound, "there is no resource directory", nil)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return body{}, fail(voip.AvatarNotFound, "the resource directory cannot be opened", err)
	}
	defer func() { _ = root.Close() }() // opened to read: nothing is lost
	// Looked at before it is opened: opening a pipe would wait for its writer.
	info, err := root.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return body{}, fail(voip.AvatarNotFound, "there is no such resource", err)
	}
	f, err := root.Open(name)
	if err != nil {
		return body{}, fail(voip.AvatarNotFound, "the resource cannot be opened", err)
	}
	defer func() { _ = f.Close() }() // opened to read: nothing is lost
	b, err := readBody(ctx, f, info.Size(), limit, h)
	if _, ours := errors.AsType[*stageError](err); err != nil && !ours {
		return b, fail(voip.AvatarNotFound, "the resource cannot be read", err)
	}
	return b, err
}

// readBody reads r up to one byte over the limit, or only its head when size,
// the length that was announced (-1: none), is over it. What it takes beyond
// the free bytes is reserved first.
func readBody(ctx context.Context, r io.Reader, size, limit int64, h *hold) (body, error) {
	most := limit + 1
	if size > limit {
		most = min(headBytes, limit)
	}
	expect := most
	if size >= 0 {
		expect = min(size, most)
	}
	data, err := readGrowing(ctx, r, int(expect), int(most), size >= 0, h)
	b := body{data: data, size: int64(len(data))}
	if size > limit && len(data) > 0 {
		b.size = size
	}
	return b, err
}

// readGrowing reads r to its end or up to most bytes. A length that is known
// is reserved as it is, an unknown one in steps.
func readGrowing(ctx context.Context, r io.Reader, expect, most int, known bool, h *hold) ([]byte, error) {
	step := freeBytes
	if known {
		step = expect + 1 // room to see the end
	}
	var data []byte
	for step = min(step, most); ; step = min(2*max(step, freeBytes), most) {
		if err := h.reserve(ctx, roomFor(step, most, known)); err != nil {
			return data, err
		}
		grown := make([]byte, step)
		n := copy(grown, data)
		m, err := fill(r, grown[n:])
		data = grown[:n+m]
		switch {
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil || n+m == most:
			return data, err
		}
	}
}

// fill reads until b is full, and returns io.EOF when r ends before. (io.ReadFull
// says io.ErrUnexpectedEOF then, as a body does that is cut off on its way.)
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	if n == len(b) {
		err = nil
	}
	return n, err
}

// roomFor is what has to be reserved for a buffer of n bytes: it itself, or up to the next
// step when its end is not known.
func roomFor(n, most int, known bool) int64 {
	switch {
	case known || n <= freeBytes:
		return int64(n)
	case n <= mediumBytes:
		return int64(min(mediumBytes, most))
	default:
		return int64(most)
	}
}
