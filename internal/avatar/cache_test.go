package avatar

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// lookups counts what a stage tells its recorder.
type lookups struct {
	mu  sync.Mutex
	all []string
}

func (l *lookups) AvatarCache(result string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, result)
}

func (l *lookups) want(t *testing.T, results ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.all, results) {
		t.Errorf("the recorder was told %v, want %v", l.all, results)
	}
	l.all = nil
}

func cached(c *Config) { c.CacheBytes, c.CacheTTL = 1<<20, time.Hour }

func cachingStage(t testing.TB, change ...func(*Config)) (*Stage, *lookups) {
	t.Helper()
	s := newStage(t, append([]func(*Config){cached}, change...)...)
	told := &lookups{}
	s.recorder = told
	return s, told
}

// expire makes every entry one that no longer counts, as if d had passed.
func expire(t *testing.T, s *Stage, d time.Duration) {
	t.Helper()
	for k, e := range s.cache.entries.All() {
		old := *e
		old.until, old.standsIn = old.until.Add(-d), old.standsIn.Add(-d)
		s.cache.put(k, &old)
	}
}

// hostOfOne serves one picture; what it answers can be changed, and it counts.
type hostOfOne struct {
	*httptest.Server
	asked  atomic.Int32
	answer atomic.Pointer[http.HandlerFunc]
}

func (h *hostOfOne) will(f http.HandlerFunc) { h.answer.Store(&f) }

func (h *hostOfOne) asks(t *testing.T, want int32) {
	t.Helper()
	if n := h.asked.Swap(0); n != want {
		t.Errorf("the host was asked %d times, want %d", n, want)
	}
}

func newHost(t testing.TB, f http.HandlerFunc) *hostOfOne {
	t.Helper()
	h := &hostOfOne{}
	h.will(f)
	h.Server = serve(t, func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		(*h.answer.Load())(w, r)
	})
	return h
}

// check wants a call's avatar to end so.
func check(t *testing.T, s *Stage, url string, reason voip.AvatarReason, fromCache bool) voip.UserProfile {
	t.Helper()
	p, r, err := s.Picture(t.Context(), given(url), testSide)
	if err != nil || r.Reason != reason || r.Cached != fromCache {
		t.Errorf("%+v, %v, want reason %q, cached %t", r, err, reason, fromCache)
	}
	checkPicture(t, p, r)
	return p
}

func TestHit(t *testing.T) {
	h := newHost(t, servePicture(readFile(t, "normal/png_rgb_160.png")))
	s, told := cachingStage(t)
	first := check(t, s, h.URL+"/a", ok, false)
	second := check(t, s, h.URL+"/a", ok, true)
	if &first.Data[0] != &second.Data[0] {
		t.Error("the picture was rendered twice")
	}
	h.asks(t, 1)
	told.want(t, lookupMiss, lookupHit)
	_, r, _ := s.Picture(t.Context(), given(h.URL+"/a"), 96)
	if r.Width != 96 || r.Cached || r.Source.Width != 160 {
		t.Errorf("%+v, want another side to be another picture", r)
	}
	check(t, s, h.URL+"/b", ok, false)
	h.asks(t, 2)
}

func TestCacheTurnedOff(t *testing.T) {
	h := newHost(t, servePicture(readFile(t, "normal/png_rgb_160.png")))
	s, told := cachingStage(t, func(c *Config) { c.CacheBytes = 0 })
	for range 2 {
		check(t, s, h.URL, ok, false)
	}
	h.asks(t, 2)
	told.want(t)
}

// TestBurst: 500 calls with one avatar make one fetch.
func TestBurst(t *testing.T) {
	const calls = 500
	gate := make(chan struct{})
	picture := readFile(t, "normal/png_rgb_160.png")
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		<-gate
		servePicture(picture)(w, r)
	})
	s, _ := cachingStage(t)
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			if _, r, _ := s.Picture(t.Context(), given(h.URL), testSide); r.Status != voip.AvatarOK {
				t.Errorf("%+v", r)
			}
		})
	}
	close(gate)
	wg.Wait()
	h.asks(t, 1)
}

func TestNegative(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   voip.AvatarReason
		during time.Duration
	}{
		"404":            {status(404), voip.AvatarNotFound, rememberGood},
		"403":            {status(403), voip.AvatarHTTPStatus, rememberGood},
		"429":            {status(429), voip.AvatarHTTPStatus, rememberBrief},
		"503":            {status(503), voip.AvatarHTTPStatus, rememberBrief},
		"a refused file": {servePicture([]byte("no picture")), voip.AvatarUnsupportedType, rememberGood},
		"a reset":        {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, voip.AvatarUnreachable, rememberBrief},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, test.answer)
			s, told := cachingStage(t)
			check(t, s, h.URL, test.want, false)
			check(t, s, h.URL, test.want, true)
			h.asked.Store(0) // the transport may have tried twice
			expire(t, s, test.during-time.Second)
			check(t, s, h.URL, test.want, true)
			h.asks(t, 0)
			expire(t, s, time.Second)
			check(t, s, h.URL, test.want, false)
			told.want(t, lookupMiss, lookupNegative, lookupNegative, lookupMiss)
		})
	}
	s, told := cachingStage(t)
	check(t, s, "https://user@host.example/", voip.AvatarForbiddenURL, false)
	told.want(t)
}

func TestRevalidation(t *testing.T) {
	picture := readFile(t, "normal/png_rgb_160.png")
	for name, tag := range map[string][3]string{
		"etag": {"Etag", `"one"`, "If-None-Match"}, "date": {"Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT", "If-Modified-Since"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(tag[0], tag[1])
				if r.Header.Get(tag[2]) == tag[1] {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				servePicture(picture)(w, r)
			})
			s, told := cachingStage(t)
			first := check(t, s, h.URL, ok, false)
			for range 2 {
				expire(t, s, time.Hour)
				if second := check(t, s, h.URL, ok, true); &first.Data[0] != &second.Data[0] {
					t.Error("what had not changed was rendered again")
				}
				check(t, s, h.URL, ok, true)
			}
			h.asks(t, 3)
			told.want(t, lookupMiss, lookupRevalidated, lookupHit, lookupRevalidated, lookupHit)
			h.will(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(tag[0], "Tue, 03 Jan 2006 15:04:05 GMT")
				servePicture(readFile(t, "normal/png_rgba_logo_512.png"))(w, r)
			})
			expire(t, s, time.Hour)
			if third := check(t, s, h.URL, ok, false); &first.Data[0] == &third.Data[0] {
				t.Error("what had changed was not rendered again")
			}
		})
	}
}

// TestStale: an older picture stands in while its host fails, but not for one that the host says is gone.
func TestStale(t *testing.T) {
	h := newHost(t, servePicture(readFile(t, "normal/png_rgb_160.png")))
	s, told := cachingStage(t)
	check(t, s, h.URL, ok, false)
	expire(t, s, time.Hour)
	h.will(status(500))
	h.asked.Store(0)
	for range 3 {
		check(t, s, h.URL, ok, true)
	}
	h.asks(t, 1)
	told.want(t, lookupMiss, lookupStale, lookupStale, lookupStale)
	expire(t, s, rememberBrief)
	h.will(servePicture([]byte("<html>")))
	check(t, s, h.URL, ok, true)
	expire(t, s, maxStale)
	check(t, s, h.URL, voip.AvatarUnsupportedType, false)

	h.will(servePicture(readFile(t, "normal/png_rgb_160.png")))
	expire(t, s, rememberGood)
	check(t, s, h.URL, ok, false)
	expire(t, s, time.Hour)
	h.will(status(410))
	check(t, s, h.URL, voip.AvatarNotFound, false)
	check(t, s, h.URL, voip.AvatarNotFound, true)
}

// TestCallerLeavesTheFetch: a caller's deadline ends its wait, not the fetch.
func TestCallerLeavesTheFetch(t *testing.T) {
	gate := make(chan struct{})
	picture := readFile(t, "normal/png_rgb_160.png")
	h := newHost(t, func(w http.ResponseWriter, r *http.Request) {
		<-gate
		servePicture(picture)(w, r)
	})
	s, _ := cachingStage(t)
	hasty, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, r, _ := s.Picture(hasty, given(h.URL), testSide); r.Reason != voip.AvatarTimeout || r.Cached {
		t.Errorf("%+v, want timeout", r)
	}
	var wg sync.WaitGroup
	wg.Go(func() { check(t, s, h.URL, ok, false) })
	close(gate)
	wg.Wait()
	check(t, s, h.URL, ok, true)
	h.asks(t, 1)
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestCallerLeavesWithTheOldPicture: a host that does not answer in time costs the caller the wait alone.
func TestCallerLeavesWithTheOldPicture(t *testing.T) {
	h := newHost(t, servePicture(readFile(t, "normal/png_rgb_160.png")))
	s, _ := cachingStage(t, briefly)
	s.cfg.Timeout = maxTimeout
	check(t, s, h.URL, ok, false)
	s.cfg.Timeout = time.Second // the server's end waits for the load that is left
	expire(t, s, time.Hour)
	h.will(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	hasty, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, r, _ := s.Picture(hasty, given(h.URL), testSide); r.Status != voip.AvatarOK || !r.Cached {
		t.Errorf("%+v, want the old picture", r)
	}
}

func TestCacheIsBounded(t *testing.T) {
	h := newHost(t, servePicture(readFile(t, "normal/exif_orient_1.jpg")))
	s, _ := cachingStage(t, func(c *Config) { c.CacheBytes = 20 << 10 })
	for i := range 50 {
		check(t, s, h.URL+"/"+string(rune('A'+i)), ok, false)
	}
	var sum uint64
	for _, e := range s.cache.entries.All() {
		sum += uint64(e.weight())
	}
	if sum == 0 || sum > 20<<10 {
		t.Errorf("the cache holds %d bytes, want at most %d", sum, 20<<10)
	}
}

func TestFreshFor(t *testing.T) {
	const ours = 10 * time.Minute
	for given, want := range map[string]time.Duration{
		"":                                  ours,
		"public":                            ours,
		"max-age":                           ours,
		"max-age=x":                         ours,
		"max-age=-1":                        ours,
		"max-age=600":                       10 * time.Minute,
		"public, MAX-AGE=3600":              time.Hour,
		`max-age="3600"`:                    time.Hour,
		"max-age=0":                         time.Minute,
		"max-age=1":                         time.Minute,
		"max-age=31536000, immutable":       24 * time.Hour,
		"max-age=99999999999999999999":      ours,
		"max-age=9223372036854775807":       24 * time.Hour,
		"max-age=3600, s-maxage=7200":       2 * time.Hour,
		"s-maxage=0, max-age=7200":          time.Minute,
		"no-store":                          time.Minute,
		"max-age=3600, no-cache, max-age=1": time.Minute,
	} {
		if got := freshFor(http.Header{"Cache-Control": {given}}, ours); got != want {
			t.Errorf("%q: %v, want %v", given, got, want)
		}
	}
	aged := http.Header{"Cache-Control": {"public", "max-age=3600"}, "Age": {"1800"}}
	if got := freshFor(aged, ours); got != 30*time.Minute {
		t.Errorf("with an age: %v, want 30m", got)
	}
	long := http.Header{"Etag": {string(make([]byte, maxValidator+1))}, "Last-Modified": {string(make([]byte, maxValidator+1))}}
	if v := validatorsOf(long); !v.none() {
		t.Errorf("validators of any length are kept: %+v", v)
	}
}

func TestCanonicalURL(t *testing.T) {
	p := urlPolicy{private: true, http: true}
	for given, want := range map[string]string{
		"https://host.example/a?b=C":    "https://host.example/a?b=C",
		"HTTPS://Host.Example/A":        "https://host.example/A",
		"https://host.example":          "https://host.example/",
		"https://host.example?a":        "https://host.example/?a",
		"https://host.example:443/a":    "https://host.example/a",
		"http://host.example:80/a":      "http://host.example/a",
		"https://host.example:80/a":     "https://host.example:80/a",
		"https://host.example/%7ea/..b": "https://host.example/%7ea/..b",
	} {
		u, err := p.check(given)
		if err != nil || canonicalURL(u) != want {
			t.Errorf("%s: %v, want %s", given, err, want)
		}
		if isCanonical(given) && given != want {
			t.Errorf("%s is taken for canonical", given)
		}
	}
	if !isCanonical("https://host.example/a") || isCanonical("https:///a") || isCanonical("https://host.example") || isCanonical("https://a@b/") {
		t.Error("what is canonical is not told")
	}
	if keyOf("a", 16) == keyOf("a", 17) || keyOf("a", 16) == keyOf("b", 16) {
		t.Error("two pictures have one key")
	}
}

// TestHitIsNearlyFree: no goroutine, no allocation.
func TestHitIsNearlyFree(t *testing.T) {
	s, _ := cachingStage(t)
	s.recorder = noRecorder{}
	a := given("https://host.example/a/picture/of/someone-1234567890.jpg")
	picture, err := encode(silhouette(testSide).RGBA)
	if err != nil {
		t.Fatal(err)
	}
	s.cache.put(keyOf(a.Source, testSide), &entry{picture: picture, source: &voip.AvatarSource{}, until: time.Now().Add(time.Hour)})
	if n := testing.AllocsPerRun(1000, func() {
		if _, r, _ := s.Picture(t.Context(), a, testSide); !r.Cached {
			t.Errorf("%+v, want a hit", r)
		}
	}); n > 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
