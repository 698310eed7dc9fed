package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/slogtest"
)

// private is what the domain's private values look like from here.
type private string

func (private) LogValue() slog.Value { return slog.StringValue("[private]") }
func (p private) Reveal() string     { return string(p) }

// caller stands for a group that holds a private value.
type caller struct{ name private }

func (c caller) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("name", c.name), slog.Bool("video", true))
}

// alias stands for a private value.
type alias struct{ name private }

func (a alias) LogValue() slog.Value { return slog.AnyValue(a.name) }

// endless stands for itself.
type endless struct{}

func (e endless) LogValue() slog.Value { return slog.AnyValue(e) }

type callKey struct{}

func callAttrs(ctx context.Context) []slog.Attr {
	if id, ok := ctx.Value(callKey{}).(string); ok {
		return []slog.Attr{slog.String("call_id", id)}
	}
	return nil
}

func TestHandlerKeepsTheRulesOfSlog(t *testing.T) {
	for name, opts := range map[string]LogOptions{
		"redacted": {},
		"private":  {Private: true},
		"context":  {Context: callAttrs},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			opts.Format = FormatJSON
			slogtest.Run(t, func(*testing.T) slog.Handler {
				out.Reset()
				return NewLogger(&out, opts).Handler()
			}, func(t *testing.T) map[string]any {
				return decode(t, out.Bytes())
			})
		})
	}
}

func TestPrivateValues(t *testing.T) {
	tests := []struct {
		name     string
		log      func(*slog.Logger)
		redacted string
		revealed string
	}{
		{
			"attribute", func(l *slog.Logger) { l.Info("m", "user", private("Li Lei")) },
			`{"user":"[private]"}`, `{"user":"Li Lei"}`,
		},
		{
			"pointer", func(l *slog.Logger) { l.Info("m", "user", new(private("Li Lei"))) },
			`{"user":"[private]"}`, `{"user":"Li Lei"}`,
		},
		{
			"group value", func(l *slog.Logger) { l.Info("m", slog.Group("g", "user", private("Li Lei"), "n", 1)) },
			`{"g":{"user":"[private]","n":1}}`, `{"g":{"user":"Li Lei","n":1}}`,
		},
		{
			"value that stands for a group", func(l *slog.Logger) { l.Info("m", "caller", caller{"Li Lei"}) },
			`{"caller":{"name":"[private]","video":true}}`, `{"caller":{"name":"Li Lei","video":true}}`,
		},
		{
			"value that stands for a private one", func(l *slog.Logger) { l.Info("m", "user", alias{"Li Lei"}) },
			`{"user":"[private]"}`, `{"user":"Li Lei"}`,
		},
		{
			"logger's own", func(l *slog.Logger) { l.With("user", private("Li Lei")).Info("m") },
			`{"user":"[private]"}`, `{"user":"Li Lei"}`,
		},
		{
			"logger's own in a group", func(l *slog.Logger) { l.WithGroup("g").With("user", private("Li Lei")).Info("m", "n", 1) },
			`{"g":{"user":"[private]","n":1}}`, `{"g":{"user":"Li Lei","n":1}}`,
		},
		{
			"nothing private", func(l *slog.Logger) { l.Info("m", "n", 1, "error", errors.New("no")) },
			`{"n":1,"error":"no"}`, `{"n":1,"error":"no"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for show, want := range map[bool]string{false: tt.redacted, true: tt.revealed} {
				var out bytes.Buffer
				tt.log(NewLogger(&out, LogOptions{Format: FormatJSON, Private: show}))
				if got := attributes(t, out.Bytes()); got != compact(t, want) {
					t.Errorf("private %t: got %s, want %s", show, got, want)
				}
			}
		})
	}
}

// TestValuesThatCannotBeResolved shows that they cost neither the line nor the worker.
func TestValuesThatCannotBeResolved(t *testing.T) {
	var none *private
	for name, value := range map[string]any{"a nil pointer": none, "one that stands for itself": endless{}} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			NewLogger(&out, LogOptions{Private: true}).Info("m", "value", value, "n", 1)
			if got := out.String(); !strings.Contains(got, " value=") || !strings.HasSuffix(got, " n=1\n") {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestContextAttributesStandAtTheTop(t *testing.T) {
	tests := []struct {
		name string
		with func(*slog.Logger) *slog.Logger
		want string
	}{
		{"no group", func(l *slog.Logger) *slog.Logger { return l.With("w", 0) }, `{"w":0,"call_id":"c-1","n":1}`},
		{"a group", func(l *slog.Logger) *slog.Logger { return l.WithGroup("g") }, `{"call_id":"c-1","g":{"n":1}}`},
		{"no name", func(l *slog.Logger) *slog.Logger { return slog.New(l.Handler().WithGroup("")) }, `{"call_id":"c-1","n":1}`},
		{
			"groups with attributes",
			func(l *slog.Logger) *slog.Logger {
				return l.With("w", 0).WithGroup("g").With("x", 1).WithGroup("h").With("y", 2)
			},
			`{"w":0,"call_id":"c-1","g":{"x":1,"h":{"y":2,"n":1}}}`,
		},
	}
	ctx := context.WithValue(t.Context(), callKey{}, "c-1")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			log := tt.with(NewLogger(&out, LogOptions{Format: FormatJSON, Context: callAttrs}))
			log.InfoContext(ctx, "m", "n", 1)
			if got := attributes(t, out.Bytes()); got != compact(t, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestLoggersOfOneParentAreApart(t *testing.T) {
	var out bytes.Buffer
	parent := NewLogger(&out, LogOptions{Format: FormatJSON}).WithGroup("a").WithGroup("b").WithGroup("c").With("n", 0)
	left := parent.With("side", "left").WithGroup("l")
	parent.With("side", "right").WithGroup("r").Info("m")
	out.Reset()
	left.Info("m", "x", 1)
	want := `{"a":{"b":{"c":{"n":0,"side":"left","l":{"x":1}}}}}`
	if got := attributes(t, out.Bytes()); got != compact(t, want) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLevelAndTextFormat(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, LogOptions{Level: slog.LevelWarn, Format: "text"})
	log.Info("unseen")
	log.Warn("seen", "user", private("Li Lei"))
	if got := out.String(); strings.Contains(got, "unseen") || !strings.HasSuffix(got, "level=WARN msg=seen user=[private]\n") {
		t.Errorf("got %q", got)
	}
}

// attributes is a line without what every line has, its keys sorted.
func attributes(t *testing.T, logged []byte) string {
	t.Helper()
	fields := decode(t, logged)
	delete(fields, slog.TimeKey)
	delete(fields, slog.LevelKey)
	delete(fields, slog.MessageKey)
	return encode(t, fields)
}

func compact(t *testing.T, text string) string {
	t.Helper()
	return encode(t, decode(t, []byte(text)))
}

func decode(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return fields
}

func encode(t *testing.T, fields map[string]any) string {
	t.Helper()
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
