package avatar

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxValidator bounds an ETag or a date that is kept and sent back.
const maxValidator = 256

// validators are what a host is asked with whether a picture has changed.
type validators struct{ etag, modified string }

func (v validators) none() bool { return v == validators{} }

func (v validators) set(h http.Header) {
	if v.etag != "" {
		h.Set("If-None-Match", v.etag)
	}
	if v.modified != "" {
		h.Set("If-Modified-Since", v.modified)
	}
}

func validatorsOf(h http.Header) validators {
	v := validators{etag: h.Get("Etag"), modified: h.Get("Last-Modified")}
	if len(v.etag) > maxValidator {
		v.etag = ""
	}
	if len(v.modified) > maxValidator {
		v.modified = ""
	}
	return v
}

// freshFor is how long an answer counts (RFC 9111, 4.2.1 and 5.2.2): s-maxage
// before max-age, less the Age that it has already, clamped to a minute and a
// day; ours when it does not say. What asks not to be stored at all is asked
// for again after that minute: a call must not wait for a host each time.
func freshFor(h http.Header, ours time.Duration) time.Duration {
	shared, private := time.Duration(-1), time.Duration(-1)
	for _, line := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
			switch strings.ToLower(name) {
			case "no-store", "no-cache":
				return minFresh
			case "s-maxage":
				shared = seconds(value, shared)
			case "max-age":
				private = seconds(value, private)
			}
		}
	}
	said := private
	if shared >= 0 {
		said = shared
	}
	if said < 0 {
		return ours
	}
	return min(max(said-seconds(h.Get("Age"), 0), minFresh), maxFresh)
}

// seconds reads a delta-seconds; what is none counts as otherwise.
func seconds(text string, otherwise time.Duration) time.Duration {
	n, err := strconv.ParseUint(strings.Trim(text, `"`), 10, 63)
	if err != nil {
		return otherwise
	}
	return time.Duration(min(n, uint64(2*maxFresh/time.Second))) * time.Second
}
