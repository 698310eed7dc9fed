package telemetry

import (
	"context"
	"io"
	"log/slog"
	"slices"
)

// FormatJSON is the LogOptions.Format of a JSON object a line; any other is
// slog's text format.
const FormatJSON = "json"

// LogOptions say how log lines look and what they may show.
type LogOptions struct {
	Level  slog.Level
	Format string // "text" or "json"
	// Private shows what redacts itself otherwise (LOG_PRIVATE).
	Private bool
	// Context returns the attributes that a context gives to its lines, such as
	// the callId; nil: none.
	Context func(context.Context) []slog.Attr
}

// NewLogger returns a logger that writes to w, a line with one Write each.
//
// A private value redacts itself through LogValue. With Private set, one that
// also has a method Reveal() string is shown as what that returns, wherever it
// stands among a line's attributes and their groups. Private values inside of
// slices, maps, structs and errors stay redacted even then.
func NewLogger(w io.Writer, opts LogOptions) *slog.Logger {
	handlerOptions := &slog.HandlerOptions{Level: opts.Level}
	var root slog.Handler = slog.NewTextHandler(w, handlerOptions)
	if opts.Format == FormatJSON {
		root = slog.NewJSONHandler(w, handlerOptions)
	}
	h := handler{root: root, attrs: opts.Context, show: asIs}
	if h.attrs == nil {
		h.attrs = func(context.Context) []slog.Attr { return nil }
	}
	if opts.Private {
		h.show = reveal
	}
	return slog.New(h)
}

// handler adds the context's attributes to every record, the ids of its span
// among them, at the top level whatever groups the logger has open: a callId is
// always found under the same key. That is why it keeps the open groups itself and closes them around a
// record's attributes.
type handler struct {
	root   slog.Handler
	groups []group // outermost first
	attrs  func(context.Context) []slog.Attr
	show   func(slog.Value) slog.Value
}

// group is an open group and the attributes that were added in it.
type group struct {
	name  string
	attrs []slog.Attr
}

func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.root.Enabled(ctx, level)
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	attrs := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, h.shown(a))
		return true
	})
	for _, g := range slices.Backward(h.groups) {
		attrs = []slog.Attr{slog.GroupAttrs(g.name, slices.Concat(g.attrs, attrs)...)}
	}
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	out.AddAttrs(h.attrs(ctx)...)
	out.AddAttrs(traceAttrs(ctx)...)
	out.AddAttrs(attrs...)
	return h.root.Handle(ctx, out)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	shown := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		shown[i] = h.shown(a)
	}
	last := len(h.groups) - 1
	if last < 0 {
		h.root = h.root.WithAttrs(shown)
		return h
	}
	h.groups = slices.Clone(h.groups)
	h.groups[last].attrs = slices.Concat(h.groups[last].attrs, shown)
	return h
}

func (h handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	h.groups = append(slices.Clip(h.groups), group{name: name})
	return h
}

func (h handler) shown(a slog.Attr) slog.Attr {
	return slog.Attr{Key: a.Key, Value: h.show(a.Value)}
}
