package avatar

import (
	"crypto/sha256"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/voip-push/worker/internal/voip"
)

// policyVersion is part of every key. It changes with whatever makes another
// picture of the same bytes.
const policyVersion = 1

// How long what is in the cache counts, when the answer of the host leaves it
// to us or asks for more or less.
const (
	minFresh      = time.Minute
	maxFresh      = 24 * time.Hour
	maxStale      = 24 * time.Hour   // beyond its freshness, while the host fails
	rememberGood  = 10 * time.Minute // a failure that will not pass by itself
	rememberBrief = 10 * time.Second // one that may
)

// The results of a lookup, as voip_avatar_cache_total counts them.
const (
	lookupHit         = "hit"         // fresh
	lookupMiss        = "miss"        // the host was asked for the picture
	lookupRevalidated = "revalidated" // the host was asked, and the picture had not changed
	lookupStale       = "stale"       // the host failed, and an older picture stood in
	lookupNegative    = "negative"    // the host failed a short while ago
)

// CacheResults are all results of a lookup that a Recorder is told.
func CacheResults() []string {
	return []string{lookupHit, lookupMiss, lookupRevalidated, lookupStale, lookupNegative}
}

// Recorder is told of every lookup in the cache. It must be safe for
// concurrent use.
type Recorder interface {
	AvatarCache(result string)
}

type noRecorder struct{}

func (noRecorder) AvatarCache(string) {}

// key is the hash of a canonical URL, the side and the policy's version.
type key [16]byte

func keyOf(canonical string, side int) key {
	buf := make([]byte, 0, 256) // stays on the stack; a longer URL costs an allocation
	buf = append(buf, policyVersion, byte(side))
	buf = append(buf, canonical...)
	sum := sha256.Sum256(buf)
	return key(sum[:len(key{})])
}

// entry is what is known of one picture of one side. It is never changed once
// it is stored.
type entry struct {
	picture  voip.UserProfile
	source   *voip.AvatarSource
	failure  *stageError // why there is no picture
	tags     validators
	until    time.Time // it counts without asking the host
	standsIn time.Time // a picture may stand in for failures up to here
	stale    bool      // it stands in for a failure now
}

// entryWeight is what an entry takes beside its texts and the picture, the
// cache's own part included.
const entryWeight = 512

func (e *entry) weight() uint32 {
	return uint32(entryWeight + len(e.picture.Data) + len(e.tags.etag) + len(e.tags.modified))
}

// result is what a lookup that finds e while it counts is counted as.
func (e *entry) result() string {
	switch {
	case e.failure != nil:
		return lookupNegative
	case e.stale:
		return lookupStale
	default:
		return lookupHit
	}
}

// outcome is e as the answer to a call.
func (e *entry) outcome(cached bool) outcome {
	return outcome{picture: e.picture, source: e.source, failure: e.failure, cached: cached}
}

// cache holds entries, bounded by their bytes. The nil cache holds nothing.
type cache struct {
	entries *otter.Cache[key, *entry]
}

// newCache has no expiry: an entry past its time still has its picture and its
// validators. Nor has it a goroutine: maintenance runs with the call that
// makes it due.
func newCache(size int64) (*cache, error) {
	if size == 0 {
		return nil, nil
	}
	c, err := otter.New(&otter.Options[key, *entry]{
		MaximumWeight: uint64(size),
		Weigher:       func(_ key, e *entry) uint32 { return e.weight() },
		Executor:      func(f func()) { f() },
	})
	if err != nil {
		return nil, err
	}
	return &cache{entries: c}, nil
}

// get is nil when there is no entry, whether it still counts or not.
func (c *cache) get(k key) *entry {
	if c == nil {
		return nil
	}
	e, _ := c.entries.GetIfPresent(k)
	return e
}

func (c *cache) put(k key, e *entry) {
	if c != nil {
		c.entries.Set(k, e)
	}
}

// remember is how long a failure is remembered; 0: not at all.
func remember(f *stageError) time.Duration {
	switch f.lasting {
	case lastsLong:
		return rememberGood
	case lastsShort:
		return rememberBrief
	case ofOurs:
		return 0
	}
	return 0
}
