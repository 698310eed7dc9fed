package avatar

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// What may be under way at once. A host has a quarter of the fetches and half
// of the large bodies, so that one that is slow leaves the others room.
const (
	maxFetches     = 256
	maxHostFetches = maxFetches / 4

	freeBytes    = 32 << 10  // of each body
	mediumBytes  = 512 << 10 // a body that is no longer takes of the medium room
	mediumRoom   = 8 << 20
	largeRoom    = 20 << 20
	lightBytes   = 4 << 20 // a decode that takes more is heavy
	lightPixels  = 1 << 20 // and so is one of more pixels: it takes time
	manyDecoders = 8       // from so many on two may be at work on heavy pictures
)

// room bounds the fetches and decodes under way, and the memory that they hold.
type room struct {
	fetches       *semaphore.Weighted
	medium, large *semaphore.Weighted // bytes
	mu            sync.Mutex
	hosts         map[string]*hostRoom
	hostLarge     int64
	slots         chan struct{} // one for each decode
	heavy         chan struct{} // one for each decode that takes much; it has a slot as well
	busy          int           // loads and decodes that calls may have left behind
	quiet         chan struct{} // closed when there are none; nil: nobody waits for that
}

// hostRoom is a host's share. It lasts as long as it has users.
type hostRoom struct {
	users   int
	fetches *semaphore.Weighted
	large   *semaphore.Weighted
}

func newRoom(limit int64, decoders int) *room {
	large := max(largeRoom, limit+1)
	heavy := 1
	if decoders >= manyDecoders {
		heavy = 2
	}
	return &room{
		fetches: semaphore.NewWeighted(maxFetches), medium: semaphore.NewWeighted(mediumRoom), large: semaphore.NewWeighted(large),
		hosts: map[string]*hostRoom{}, hostLarge: max(large/2, limit+1),
		slots: make(chan struct{}, decoders), heavy: make(chan struct{}, heavy),
	}
}

func (r *room) share(host string) *hostRoom {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.hosts[host]
	if h == nil {
		h = &hostRoom{fetches: semaphore.NewWeighted(maxHostFetches), large: semaphore.NewWeighted(r.hostLarge)}
		r.hosts[host] = h
	}
	h.users++
	return h
}

func (r *room) unshare(host string, h *hostRoom) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.users--; h.users == 0 {
		delete(r.hosts, host)
	}
}

// enter waits for the host's turn, then for the worker's: who waits for a slow
// host holds nothing that others need.
func (r *room) enter(ctx context.Context, host string) (leave func(), err error) {
	h := r.share(host)
	if h.fetches.Acquire(ctx, 1) != nil {
		r.unshare(host, h)
		return nil, noTime("the host had too many fetches under way")
	}
	if r.fetches.Acquire(ctx, 1) != nil {
		h.fetches.Release(1)
		r.unshare(host, h)
		return nil, noTime("there were too many fetches under way")
	}
	return func() {
		r.fetches.Release(1)
		h.fetches.Release(1)
		r.unshare(host, h)
	}, nil
}

// decoder waits for a slot. Heavy pictures wait for one another first, so that
// they leave slots and memory to the others.
func (r *room) decoder(ctx context.Context, h header) (leave func(), err error) {
	lanes := []chan struct{}{r.slots}
	if h.decoded > lightBytes || h.width*h.height > lightPixels {
		lanes = []chan struct{}{r.heavy, r.slots}
	}
	for i, lane := range lanes {
		select {
		case lane <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-r.heavy
			}
			return nil, noTime("there was no time left to decode it")
		}
	}
	return func() {
		for _, lane := range lanes {
			<-lane
		}
	}, nil
}

// begin counts what a call may leave behind, until its end is called.
func (r *room) begin() (end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy++
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.busy--; r.busy == 0 && r.quiet != nil {
			close(r.quiet)
			r.quiet = nil
		}
	}
}

// idle waits until nothing that has begun is left.
func (r *room) idle(ctx context.Context) error {
	r.mu.Lock()
	if r.busy == 0 {
		r.mu.Unlock()
		return nil
	}
	if r.quiet == nil {
		r.quiet = make(chan struct{})
	}
	quiet := r.quiet
	r.mu.Unlock()
	select {
	case <-quiet:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hold is the memory that one source may take. Its zero value has no room:
// reading fails beyond the free bytes.
type hold struct {
	room          *room
	host          string // empty: none
	share         *hostRoom
	medium, large int64
}

// reserve waits until total bytes may be held. It only ever waits for large
// bytes while it holds medium ones, never the other way round.
func (h *hold) reserve(ctx context.Context, total int64) error {
	switch {
	case total <= freeBytes || total <= h.medium || h.large > 0:
		return nil
	case total <= mediumBytes:
		if h.room.medium.Acquire(ctx, total) != nil {
			return noTime("there was no room for it in memory")
		}
		h.medium = total
		return nil
	}
	if h.host != "" {
		h.share = h.room.share(h.host)
		if h.share.large.Acquire(ctx, total) != nil {
			h.room.unshare(h.host, h.share)
			return noTime("there was no room in memory for more of the host")
		}
	}
	if h.room.large.Acquire(ctx, total) != nil {
		h.leaveShare(total)
		return noTime("there was no room for it in memory")
	}
	h.large = total
	return nil
}

func (h *hold) leaveShare(n int64) {
	if h.host != "" {
		h.share.large.Release(n)
		h.room.unshare(h.host, h.share)
	}
}

// release gives back what was reserved; it may be called more than once.
func (h *hold) release() {
	if h.large > 0 {
		h.room.large.Release(h.large)
		h.leaveShare(h.large)
		h.large = 0
	}
	if h.medium > 0 {
		h.room.medium.Release(h.medium)
		h.medium = 0
	}
}
