package avatar

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// TestSlowHostLeavesRoom: with more calls at a host that hangs than it may have, another host is served at once.
func TestSlowHostLeavesRoom(t *testing.T) {
	end := make(chan struct{})
	slow := newHost(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush() // the headers are here, within their own time
		<-end
	})
	quick := serve(t, servePicture(readFile(t, "normal/png_rgb_160.png")))
	s, _ := cachingStage(t, func(c *Config) { c.Timeout = maxTimeout })
	var wg sync.WaitGroup
	calls, stop := context.WithCancel(t.Context())
	for i := range 2 * maxHostFetches {
		wg.Go(func() { _, _, _ = s.Picture(calls, given(slow.URL+"/"+strconv.Itoa(i)), testSide) })
	}
	for slow.asked.Load() < maxHostFetches {
		<-tick(t.Context())
	}
	check(t, s, host(quick, "localhost"), ok, false)
	if n := slow.asked.Load(); n != maxHostFetches {
		t.Errorf("the slow host was asked %d times at once, want %d", n, maxHostFetches)
	}
	stop()
	wg.Wait()
	close(end)
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if len(s.room.hosts) != 0 {
		t.Errorf("%d hosts are kept", len(s.room.hosts))
	}
}

func TestWaitingForRoomIsNotRemembered(t *testing.T) {
	h := newHost(t, servePicture(readFile(t, "normal/png_rgb_160.png")))
	s, _ := cachingStage(t, func(c *Config) { c.Timeout = 15 * brief })
	if err := s.room.fetches.Acquire(t.Context(), maxFetches); err != nil {
		t.Fatal(err)
	}
	check(t, s, h.URL, voip.AvatarTimeout, false)
	if err := s.Close(t.Context()); err != nil { // until the load that was left has given up as well
		t.Fatal(err)
	}
	s.room.fetches.Release(maxFetches)
	check(t, s, h.URL, ok, false)
	gone, stop := context.WithCancel(t.Context())
	stop()
	end := s.room.begin()
	if err := s.Close(gone); err == nil {
		t.Error("closing did not wait for what had begun")
	}
	end()
	if err := s.Close(gone); err != nil {
		t.Errorf("with nothing left: %v", err)
	}
}

func TestReserve(t *testing.T) {
	const body = 5 << 20
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	r := newRoom(body, 1)
	var held []*hold
	for i := range largeRoom / body {
		held = append(held, &hold{room: r, host: "h" + strconv.Itoa(i%2)})
		if err := held[i].reserve(t.Context(), body); err != nil {
			t.Errorf("body %d: %v", i, err)
		}
	}
	late := []*hold{{room: r, host: "h0"}, {room: r, host: "h3"}, {room: r}}
	for _, h := range late {
		if h.reserve(soon, body) == nil {
			t.Errorf("%q had room for a body too many", h.host)
		}
	}
	for _, h := range slices.Concat(held, late) {
		h.release()
		h.release()
	}
	one := []*hold{{room: r, host: "one"}, {room: r, host: "one"}, {room: r, host: "one"}}
	if one[0].reserve(t.Context(), body) != nil || one[1].reserve(t.Context(), body) != nil || one[2].reserve(soon, body) == nil {
		t.Error("one host has not half of the room for large bodies")
	}
	other := &hold{room: r, host: "other"}
	if other.reserve(t.Context(), freeBytes) != nil || other.reserve(t.Context(), mediumBytes) != nil || other.reserve(t.Context(), body) != nil {
		t.Error("the large bodies of a host are in the way of another")
	}
	full := &hold{room: r}
	if r.medium.TryAcquire(mediumRoom-mediumBytes) && full.reserve(soon, mediumBytes) == nil {
		t.Error("a medium body too many had room")
	}
	r.medium.Release(mediumRoom - mediumBytes)
	for _, h := range append(one, other, full) {
		h.release()
	}
	if !r.large.TryAcquire(largeRoom) || !r.medium.TryAcquire(mediumRoom) || len(r.hosts) != 0 {
		t.Errorf("not all that was reserved came back; hosts %v", r.hosts)
	}
}

func TestReadBody(t *testing.T) {
	data := slices.Repeat([]byte("0123456789abcdef"), 70<<10) // 1.1 MiB
	whole := int64(len(data))
	for name, test := range map[string]struct {
		r           io.Reader
		size, limit int64
		want        int64 // bytes that are kept
		wantSize    int64
		bad         bool
	}{
		"announced":            {bytes.NewReader(data), whole, 5 << 20, whole, whole, false},
		"unknown":              {bytes.NewReader(data), -1, 5 << 20, whole, whole, false},
		"byte by byte":         {iotest.OneByteReader(bytes.NewReader(data[:5000])), -1, 5 << 20, 5000, 5000, false},
		"exactly the limit":    {bytes.NewReader(data), -1, whole, whole, whole, false},
		"one over the limit":   {bytes.NewReader(data), -1, whole - 1, whole, whole, false},
		"far over the limit":   {bytes.NewReader(data), -1, 1000, 1001, 1001, false},
		"announced over":       {bytes.NewReader(data), whole, whole - 1, headBytes, whole, false},
		"longer than it said":  {bytes.NewReader(data), 1000, 5 << 20, whole, whole, false},
		"shorter than it said": {bytes.NewReader(data[:1000]), 5000, 5 << 20, 1000, 1000, false},
		"empty":                {bytes.NewReader(nil), 0, 5 << 20, 0, 0, false},
		"broken":               {io.MultiReader(bytes.NewReader(data[:5000]), iotest.ErrReader(errors.ErrUnsupported)), -1, 5 << 20, 5000, 5000, true},
	} {
		h := hold{room: newRoom(test.limit, 1)}
		b, err := readBody(t.Context(), test.r, test.size, test.limit, &h)
		if (err != nil) != test.bad || !bytes.Equal(b.data, data[:test.want]) || b.size != test.wantSize {
			t.Errorf("%s: %d bytes of %d, %v, want %d of %d", name, len(b.data), b.size, err, test.want, test.wantSize)
		}
		h.release()
	}
}

// TestHeavyPicturesLeaveSlots: a heavy picture waits for other heavy ones, a light one does not.
func TestHeavyPicturesLeaveSlots(t *testing.T) {
	r := newRoom(1, 2)
	heavy, light := header{decoded: maxDecodedBytes}, header{decoded: 1}
	leave, err := r.decoder(t.Context(), heavy)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.decoder(short, heavy); err == nil {
		t.Error("a second heavy picture had a slot")
	}
	also, err := r.decoder(t.Context(), light)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	also()
	if len(r.slots) != 0 || len(r.heavy) != 0 {
		t.Error("slots were not given back")
	}
}
