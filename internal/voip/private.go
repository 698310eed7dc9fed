package voip

import (
	"context"
	"fmt"
	"io"
	"log/slog"
)

// Redacted stands where a private value would.
const Redacted = "[private]"

// Private is a value that never reaches a log, an error, a metric or a trace
// unless LOG_PRIVATE is set, as hilog's private format does: a userName, an
// avatar's URL. However it is printed it shows as "[private]"; the log handler
// asks Reveal when it may. Two ways are not asked for it: %p, which vet refuses,
// and the keys of a map in JSON: do not make it one.
type Private string

// LogValue redacts the value in logs.
func (Private) LogValue() slog.Value { return slog.StringValue(Redacted) }

// Format redacts the value for every verb of fmt.
func (Private) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, Redacted) // fmt.State never fails
}

// MarshalText redacts the value in JSON.
func (Private) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// Reveal is the value itself.
func (p Private) Reveal() string { return string(p) }

type (
	callKey  struct{}
	traceKey struct{}
)

// WithCall returns a context whose log lines carry the callId, and from which a
// trace that the push came with is handed on (TraceOf).
func WithCall(ctx context.Context, id string, given TraceHeader) context.Context {
	return &callContext{Context: ctx, id: id, trace: given}
}

// callContext is context.WithValue without a second allocation for the value:
// every push has one, and few are asked.
type callContext struct {
	context.Context //nolint:containedctx // it is a context itself

	id    string
	trace TraceHeader
}

func (c *callContext) Value(key any) any {
	switch key {
	case callKey{}:
		return c.id
	case traceKey{}:
		return c.trace
	}
	return c.Context.Value(key)
}

// TraceOf is the trace's context that the push of a context came with; nil: none.
func TraceOf(ctx context.Context) TraceHeader {
	h, _ := ctx.Value(traceKey{}).(TraceHeader)
	return h
}

// LogAttrs are the attributes that log lines of a context carry.
func LogAttrs(ctx context.Context) []slog.Attr {
	if id, ok := ctx.Value(callKey{}).(string); ok && id != "" {
		return []slog.Attr{slog.String("call_id", id)}
	}
	return nil
}
