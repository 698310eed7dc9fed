package telemetry

import "log/slog"

// maxSteps bounds how many times a value may stand for another one, as slog
// bounds it.
const maxSteps = 100

// asIs leaves a value to its own LogValue: private ones redact themselves.
func asIs(v slog.Value) slog.Value { return v }

// revealer is a value that redacts itself and can be asked for what it hides.
type revealer interface{ Reveal() string }

// reveal returns v with the private values in it shown. It resolves values one
// step at a time, for what v stands for may itself be private, or a group that
// holds private values.
func reveal(v slog.Value) slog.Value {
	for range maxSteps {
		next, ok := step(v)
		if !ok {
			break
		}
		v = next
	}
	if v.Kind() == slog.KindGroup {
		return revealGroup(v.Group())
	}
	return v
}

func revealGroup(attrs []slog.Attr) slog.Value {
	shown := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		shown[i] = slog.Attr{Key: a.Key, Value: reveal(a.Value)}
	}
	return slog.GroupValue(shown...)
}

// step is what v hides or stands for; false: v is all there is. A value whose
// method panics, that of a nil pointer say, is left to slog, which puts the
// panic in the line.
func step(v slog.Value) (next slog.Value, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	switch x := v.Any().(type) {
	case revealer:
		return slog.StringValue(x.Reveal()), true
	case slog.LogValuer:
		return x.LogValue(), true
	default:
		return v, false
	}
}
