package voip

import (
	"maps"
	"net/textproto"
	"slices"
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
		values = h[textproto.CanonicalMIMEHeaderKey(name)]
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// Set writes the header.
func (h TraceHeader) Set(name, value string) { h[name] = []string{value} }

// Keys are the names of the headers.
func (h TraceHeader) Keys() []string { return slices.Collect(maps.Keys(h)) }
