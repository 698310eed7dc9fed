package avatar

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Policy says what a bad avatar does to its call.
type Policy string

// The policies.
const (
	// PolicyFit: what decodes within the guards is rendered, whatever it
	// weighs up to AVATAR_MAX_SOURCE_BYTES; a bad one falls back to the default.
	PolicyFit Policy = "fit"
	// PolicyStrict: a bad one, or a source over AVATAR_MAX_BYTES, is an error.
	PolicyStrict Policy = "strict"
)

// The largest settings that make sense.
const (
	maxSourceBytes = 64 << 20
	maxTimeout     = time.Minute
)

// Config is what the stage is set up with; each field is the AVATAR_ variable
// of its name. Sizes are in bytes.
type Config struct {
	Policy Policy
	// MaxBytes is what Call Kit's guide allows a picture: a source over it is
	// marked (fit) or refused (strict). Exactly the limit is legal.
	MaxBytes int64
	// MaxSourceBytes is what is read of a source at most, under any policy.
	MaxSourceBytes int64
	// Timeout is the budget of one picture, from its URL to the encoded square.
	Timeout time.Duration
	// ResourceDir holds the files that resource:NAME stands for; empty: none.
	ResourceDir string
	// Default is the picture that stands in: empty for the built-in one, or
	// "resource:NAME".
	Default string
	// AllowedHosts are the only hosts that may be fetched from: a name stands
	// for itself, ".example.com" or "*.example.com" for every name under
	// it. Empty: any public host.
	AllowedHosts []string
	// AllowPrivate lets private and loopback addresses be reached, and URLs
	// have address literals and any port.
	AllowPrivate bool
	// AllowHTTP lets URLs be http.
	AllowHTTP bool
	// CacheBytes bounds the pictures that are kept of URLs; 0: none are.
	CacheBytes int64
	// CacheTTL is how long a picture counts when its host does not say.
	CacheTTL time.Duration
}

// New checks the configuration and renders the default picture, in the usual
// size at once and in the others in the seconds after it. Its error
// joins every fault, each naming its variable and what is legal. A nil log
// logs nothing, a nil recorder counts nothing.
func New(cfg Config, log *slog.Logger, recorder Recorder) (*Stage, error) {
	hosts, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if recorder == nil {
		recorder = noRecorder{}
	}
	r := newRoom(cfg.readLimit(), runtime.GOMAXPROCS(0))
	s := &Stage{
		cfg: cfg, log: log, recorder: recorder, room: r, closing: make(chan struct{}),
		fetch: newFetcher(urlPolicy{private: cfg.AllowPrivate, http: cfg.AllowHTTP, hosts: hosts}, r),
	}
	if s.cache, err = newCache(cfg.CacheBytes); err != nil {
		return nil, fmt.Errorf("AVATAR_CACHE_BYTES is %d: %w", cfg.CacheBytes, err)
	}
	if s.standIn, err = s.newStandIn(); err != nil {
		return nil, err
	}
	prepared := r.begin()
	go func() {
		defer prepared()
		s.standIn.prepare(s.closing)
	}()
	return s, nil
}

// readLimit is what may be read of one source, in bytes.
func (c *Config) readLimit() int64 {
	if c.Policy == PolicyStrict {
		return min(c.MaxBytes, c.MaxSourceBytes)
	}
	return c.MaxSourceBytes
}

// check names every fault and returns the hosts in the form they are compared in.
func (c *Config) check() (hosts []string, err error) {
	var faults []error
	fault := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(c.Policy == PolicyFit || c.Policy == PolicyStrict, "AVATAR_POLICY is %q, want fit or strict", string(c.Policy))
	fault(c.MaxBytes >= 1 && c.MaxBytes <= maxSourceBytes, "AVATAR_MAX_BYTES is %d, want 1 to %d (64 MiB)", c.MaxBytes, maxSourceBytes)
	fault(c.MaxSourceBytes >= 1 && c.MaxSourceBytes <= maxSourceBytes,
		"AVATAR_MAX_SOURCE_BYTES is %d, want 1 to %d (64 MiB)", c.MaxSourceBytes, maxSourceBytes)
	fault(c.Timeout > 0 && c.Timeout <= maxTimeout, "AVATAR_TIMEOUT is %v, want more than 0 and at most %v", c.Timeout, maxTimeout)
	fault(c.CacheBytes >= 0, "AVATAR_CACHE_BYTES is %d, want 0 (no cache) or more", c.CacheBytes)
	fault(c.CacheTTL >= 0 && c.CacheTTL <= maxFresh, "AVATAR_CACHE_TTL is %v, want 0 to %v", c.CacheTTL, maxFresh)
	fault(isDir(c.ResourceDir), "AVATAR_RESOURCE_DIR is %q, want a directory that can be read", c.ResourceDir)
	name, isResource := cutScheme(c.Default, schemeResource)
	fault(c.Default == "" || isResource && name != "", "AVATAR_DEFAULT is %q, want resource:NAME, or nothing for the built-in picture", c.Default)
	fault(!isResource || c.ResourceDir != "", "AVATAR_DEFAULT is %q, which needs AVATAR_RESOURCE_DIR", c.Default)
	for _, given := range c.AllowedHosts {
		host, ok := hostPattern(given)
		fault(ok, "AVATAR_ALLOWED_HOSTS has %q, want host names or addresses without scheme and port, .example.com for all under it", given)
		hosts = append(hosts, host)
	}
	return hosts, errors.Join(faults...)
}

func isDir(path string) bool {
	if path == "" {
		return true
	}
	d, err := os.OpenRoot(path)
	return err == nil && d.Close() == nil
}

// hostPattern is a host of AVATAR_ALLOWED_HOSTS as urlPolicy compares it:
// lower case, and with a leading dot where it stands for all names under it.
func hostPattern(given string) (pattern string, ok bool) {
	host := strings.ToLower(strings.TrimSpace(given))
	host = strings.TrimPrefix(host, "*")
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return addr.String(), addr.Zone() == ""
	}
	host = strings.TrimSuffix(host, ".")
	name := strings.TrimPrefix(host, ".")
	under := strings.HasPrefix(strings.TrimSpace(given), "*")
	return host, validHost(name) && (!under || host != name)
}

func bytesText(n int64) string { return strconv.FormatInt(n, 10) + " bytes" }
