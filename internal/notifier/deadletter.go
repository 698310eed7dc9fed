package notifier

import (
	"context"
	"maps"
	"net/textproto"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/voip"
)

// Limits of a dead letter's headers.
const (
	maxErrorBytes    = 1 << 10
	maxOriginalBytes = 32 << 10
)

// What is said of original headers that are not there.
const (
	leftOut     = " (the original headers are left out: they are too large)"
	someLeftOut = " (original headers are left out whose names nats.go does not write)"
)

// DeadLetter publishes a dead letter until it is stored: the original body
// byte for byte, the original headers but for the broker's own, and why the
// call failed. again says that it was stored before.
func (n *Notifier) DeadLetter(ctx context.Context, may func() error, d *voip.DeadLetter) (again bool, err error) {
	msg := &nats.Msg{Subject: voip.DeadLetterSubject(d.Reason, d.CallID), Data: d.Body}
	kept, size, odd := original(d.Header)
	if odd {
		told := *d
		told.Error = line(d.Error, maxErrorBytes-len(someLeftOut)-len(leftOut)) + someLeftOut
		d = &told
	}
	if size > maxOriginalBytes {
		msg.Header = headers(d, nil)
		return n.store(ctx, may, msg, nil, nil)
	}
	msg.Header = headers(d, kept)
	return n.store(ctx, may, msg, func(m *nats.Msg) *nats.Msg {
		return &nats.Msg{Subject: m.Subject, Data: m.Data, Header: headers(d, nil)}
	}, nil)
}

// original copies the push's headers but for those that begin with Nats-, and
// measures them as they stand on the wire. odd: some have a name that a server
// takes from others, and nats.go refuses to write.
func original(h map[string][]string) (kept nats.Header, size int, odd bool) {
	kept = nats.Header{}
	for k, values := range h {
		switch {
		case strings.HasPrefix(k, "Nats-"): // so spelled: header names of NATS have a case
			continue
		case !writable(k):
			odd = true
			continue
		}
		kept[k] = values
		for _, v := range values {
			size += len(k) + len(v) + len(": \r\n")
		}
	}
	return kept, size, odd
}

// writable says whether nats.go writes a header of that name: ADR-4's printable
// ASCII, but for what separates in MIME. It says so only of the whole message.
func writable(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r < '!' || r > '~' || strings.ContainsRune(`"()/,:;<=>?@[\]{}`, r)
	})
}

// headers lays ours over the push's own; kept nil says that those are left out.
func headers(d *voip.DeadLetter, kept nats.Header) nats.Header {
	text := d.Error
	if kept == nil {
		text = line(text, maxErrorBytes-len(leftOut)) + leftOut
	}
	h := maps.Clone(kept)
	if h == nil {
		h = nats.Header{}
	}
	own := ours(d, line(text, maxErrorBytes))
	// Ours replace the push's, however it spells them: a redriven push carries
	// those of its first life.
	maps.DeleteFunc(h, func(k string, _ []string) bool {
		_, is := own[textproto.CanonicalMIMEHeaderKey(k)]
		return is
	})
	for k, v := range own {
		if v != "" {
			h.Set(k, v)
		}
	}
	return h
}

func ours(d *voip.DeadLetter, text string) map[string]string {
	m := map[string]string{
		voip.HeaderMsgID:          voip.DeadLetterMsgID(d.OriginSequence),
		voip.HeaderReason:         string(d.Reason),
		voip.HeaderClass:          string(d.Reason.Rule().Class),
		voip.HeaderError:          text,
		voip.HeaderStage:          string(d.Stage),
		voip.HeaderCallID:         d.CallID,
		voip.HeaderAttempts:       strconv.Itoa(d.Attempts),
		voip.HeaderFirstSeen:      stamp(d.FirstSeen),
		voip.HeaderFailedAt:       stamp(d.FailedAt),
		voip.HeaderExpiresAt:      "",
		voip.HeaderWorker:         d.Worker,
		voip.HeaderOriginStream:   voip.StreamPush,
		voip.HeaderOriginSubject:  d.OriginSubject,
		voip.HeaderOriginSequence: strconv.FormatUint(d.OriginSequence, 10),
		voip.HeaderOriginMsgID:    nats.Header(d.Header).Get(voip.HeaderMsgID),
		voip.HeaderRedrives:       strconv.Itoa(d.Redrives),
	}
	if d.ExpiresAt != nil {
		m[voip.HeaderExpiresAt] = stamp(*d.ExpiresAt)
	}
	return m
}

// line is s on one line of at most n bytes, as a header value must be.
func line(s string, n int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	if len(s) <= n {
		return s
	}
	const more = "…"
	n -= len(more)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + more
}
