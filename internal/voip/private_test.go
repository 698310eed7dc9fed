package voip_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/voip-push/worker/internal/voip"
)

const secret = "Li Lei 李雷"

func TestPrivateIsNeverFormatted(t *testing.T) {
	p := voip.Private(secret)
	type call struct {
		Name  voip.Private
		Names []voip.Private
		ByKey map[voip.Private]int
		At    *voip.Private
	}
	holder := call{p, []voip.Private{p}, map[voip.Private]int{p: 1}, &p}
	// All but %p, of which fmt asks no method; vet refuses it for what is no pointer.
	for _, verb := range "vTtbcdoOqxXUeEfFgGsz" {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "3", ".1", "+#40.20"} {
			format := "%" + flags + string(verb)
			for _, v := range []any{p, &p, holder, &holder, []any{p}, fmt.Errorf("call: %w", errors.New(fmt.Sprint(p)))} {
				got := fmt.Sprintf(format, v)
				if strings.Contains(got, "Lei") || strings.Contains(got, "李") || strings.Contains(got, fmt.Sprintf("%x", "Lei")) || strings.Contains(got, fmt.Sprintf("%X", "Lei")) {
					t.Errorf("%s of a %T shows %s", format, v, got)
				}
			}
		}
	}
	for _, got := range []string{fmt.Sprint(p), fmt.Sprintln(p), fmt.Sprintf("%s %v %+v %#v %q %x %d", p, p, p, p, p, p, p)} {
		if strings.ReplaceAll(strings.TrimSpace(got), "[private]", "") != strings.Repeat(" ", strings.Count(got, " ")) {
			t.Errorf("got %q", got)
		}
	}
	if p.Reveal() != secret {
		t.Errorf("revealed it is %q", p.Reveal())
	}
}

func TestPrivateIsNeverEncoded(t *testing.T) {
	p := voip.Private(secret)
	got, err := json.Marshal(map[string]any{"call": []any{p, &p, struct{ Name voip.Private }{p}}})
	if want := `{"call":["[private]","[private]",{"Name":"[private]"}]}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestPrivateIsNeverLogged(t *testing.T) {
	p := voip.Private(secret)
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).With("with", p).WithGroup("group").InfoContext(t.Context(), "a line", "name", p, "pointer", &p, "names", []voip.Private{p},
			"any", slog.AnyValue(struct{ Name voip.Private }{p}), slog.Group("inner", "name", p))
	}
	if got := out.String(); strings.Contains(got, "Lei") || strings.Contains(got, "李") || strings.Count(got, voip.Redacted) != 12 {
		t.Errorf("got %s", got)
	}
}

func TestLogAttrs(t *testing.T) {
	ctx := context.Background()
	if got := voip.LogAttrs(ctx); got != nil {
		t.Errorf("without a callId: %v", got)
	}
	if got := voip.LogAttrs(voip.WithCall(ctx, "", nil)); got != nil {
		t.Errorf("with an empty callId: %v", got)
	}
	if got := voip.LogAttrs(voip.WithCall(ctx, "c-1", nil)); fmt.Sprint(got) != "[call_id=c-1]" {
		t.Errorf("got %v", got)
	}
}
