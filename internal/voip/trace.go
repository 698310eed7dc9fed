package voip

import (
	"maps"
	"net/textproto"
	"slices"
	"strings"
)

// TraceHeader is a message's headers as a trace's context travels in them. NATS
// keeps names as they were written, and gateways write these in lower case, as
// W3C spells them, or in the canonical form that libraries for HTTP give them:
// both are read, and the first is written.
type TraceHeader map[string][]string

// Get is the header's value; empty when there is none.
func (h TraceHeader) Get(name string) string {
	values, found := h[name]
	if !found {
		values = h[canonical(name)]
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// canonical is the name as net/http writes it; of those that every push is asked
// for, without an allocation.
func canonical(name string) string {
	switch name {
	case HeaderTraceparent:
		return "Traceparent"
	case HeaderTracestate:
		return "Tracestate"
	}
	return textproto.CanonicalMIMEHeaderKey(name)
}

// Set writes the header.
func (h TraceHeader) Set(name, value string) { h[name] = []string{value} }

// Keys are the names of the headers.
func (h TraceHeader) Keys() []string { return slices.Collect(maps.Keys(h)) }

// Traceparent is the header of that name when it can be read, else empty (W3C
// Trace Context, 3.2: a version but ff, a trace and a span that are not all
// zeros, flags; lower-case hex. Later versions may go on behind that).
func (h TraceHeader) Traceparent() string {
	const length = 55 // of version 00
	s := h.Get(HeaderTraceparent)
	if len(s) < length || s[2] != '-' || s[35] != '-' || s[52] != '-' || s[:2] == "ff" ||
		s[:2] == "00" && len(s) > length || len(s) > length && s[length] != '-' {
		return ""
	}
	for _, part := range []string{s[:2], s[3:35], s[36:52], s[53:55]} {
		if strings.Trim(part, "0123456789abcdef") != "" {
			return ""
		}
	}
	if strings.Trim(s[3:35], "0") == "" || strings.Trim(s[36:52], "0") == "" || !printable(s) {
		return ""
	}
	return s
}

// printable says whether every transport takes s for a header's value: it is no
// longer than what W3C asks to be handed on, either.
func printable(s string) bool {
	const longest = 512
	return len(s) <= longest && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// HandOn sets what of a trace's context is given on by who takes no part in the
// trace: the headers as they came, when they can be read.
func (h TraceHeader) HandOn(to interface{ Set(name, value string) }) {
	parent := h.Traceparent()
	if parent == "" {
		return
	}
	to.Set(HeaderTraceparent, parent)
	if state := h.Get(HeaderTracestate); state != "" && printable(state) {
		to.Set(HeaderTracestate, state)
	}
}
