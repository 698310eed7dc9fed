package report

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxRetryAfter keeps a nonsensical Retry-After from overflowing; no call
// lives as long.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads a Retry-After header, in seconds or as a date; 0 when there
// is none, when it is in the past, or when it cannot be read.
func retryAfter(v string) time.Duration {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(v, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(time.Until(at), 0), maxRetryAfter)
}
