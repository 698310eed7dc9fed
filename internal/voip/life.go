package voip

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Header is what headers are read through; nats.Header satisfies it.
type Header interface{ Get(key string) string }

// Redrive says that a push was sent again from the dead letters: how often,
// and from which stream sequence it came first. Count 0 is no redrive.
type Redrive struct {
	Count  int
	Origin uint64
}

// RedriveOf reads Voip-Redrives and Voip-Origin-Sequence of the push with a
// stream sequence. A count that cannot be read is an error and no redrive; one
// without its origin is an error too, and a redrive whose origin is itself.
func RedriveOf(h Header, sequence uint64) (Redrive, error) {
	count := h.Get(HeaderRedrives)
	if count == "" {
		return Redrive{}, nil
	}
	n, err := strconv.ParseUint(count, 10, 31)
	if err != nil {
		return Redrive{}, fmt.Errorf("%s is %q, want a whole number", HeaderRedrives, clip(count))
	}
	if n == 0 {
		return Redrive{}, nil
	}
	origin, err := strconv.ParseUint(h.Get(HeaderOriginSequence), 10, 64)
	if err != nil || origin == 0 {
		return Redrive{Count: int(n), Origin: sequence}, fmt.Errorf("%s is %q beside %s, want a stream sequence",
			HeaderOriginSequence, clip(h.Get(HeaderOriginSequence)), HeaderRedrives)
	}
	return Redrive{Count: int(n), Origin: origin}, nil
}

// The times that can be written in UTC, whose year has four digits in RFC 3339;
// the very first one is left to those that know of none.
//
//nolint:gochecknoglobals // read only
var (
	firstTime = time.Time{}.Add(1)
	lastTime  = time.Date(9999, time.December, 31, 23, 59, 59, 999_999_999, time.UTC)
)

// ExpiresAtOf reads Voip-Expires-At, in UTC; zero when there is none, an error
// when it is not RFC 3339, in which T and Z may be lower case (5.6). A time that
// cannot be written in UTC, for its zone carries it out of the years 1 to 9999,
// is the first or the last one that can.
func ExpiresAtOf(h Header) (time.Time, error) {
	v := h.Get(HeaderExpiresAt)
	if v == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(v))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is %q, want a time as in RFC 3339", HeaderExpiresAt, clip(v))
	}
	switch t = t.UTC(); {
	case t.Before(firstTime):
		return firstTime, nil
	case t.After(lastTime):
		return lastTime, nil
	}
	return t, nil
}

// Deadline is the end of the call's life, after which a ring would come too
// late. It counts from the broker's timestamp of the push; expiresAt (zero:
// none) can bring it forward only, but for a redriven push it alone counts.
func (p *Push) Deadline(stored, expiresAt time.Time, redriven bool) time.Time {
	if redriven && !expiresAt.IsZero() {
		return expiresAt
	}
	life := p.TTL
	if p.Direction == Incoming {
		life = min(life, IncomingLife)
	}
	end := stored.Add(life)
	if !expiresAt.IsZero() && expiresAt.Before(end) {
		return expiresAt
	}
	return end
}

// DecodeCancel reads a message of voip.cancel: {"callId":"c-1"}.
func DecodeCancel(body []byte) (id string, err error) {
	m, ok := fields(body)
	if !ok {
		return "", &MalformedPushError{Detail: "the cancel is not a JSON object"}
	}
	if id = callID(m.get("callId")); id == "" {
		return "", &MalformedPushError{Detail: "the cancel has no callId"}
	}
	return id, nil
}
