package telemetry

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestReady(t *testing.T) {
	down := errors.New("no connection")
	tests := []struct {
		name  string
		names []string
		do    func(*Health)
		want  string
	}{
		{"nobody reports", nil, func(*Health) {}, "no part has reported yet"},
		{"at start", []string{"nats", "consumer"}, func(*Health) {}, "consumer: starting\nnats: starting"},
		{"one of two", []string{"nats", "consumer"}, func(h *Health) { h.Set("nats", nil) }, "consumer: starting"},
		{"all", []string{"nats"}, func(h *Health) { h.Set("nats", nil) }, ""},
		{"lost again", []string{"nats"}, func(h *Health) { h.Set("nats", nil); h.Set("nats", down) }, "nats: no connection"},
		{"one that came later", []string{"nats"}, func(h *Health) { h.Set("nats", nil); h.Set("late", down) }, "late: no connection"},
		{"several causes", []string{"nats"}, func(h *Health) { h.Set("nats", errors.Join(down, down)) }, "nats: no connection; no connection"},
		{"a note", []string{"nats"}, func(h *Health) { h.Set("nats", nil); h.Note("report", "circuit open") }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := NewHealth(tt.names...)
			tt.do(h)
			if got := text(h.Ready()); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNotes(t *testing.T) {
	h := NewHealth("nats")
	h.Note("report", "circuit\nopen")
	h.Note("avatar", "slow")
	h.Note("gone", "soon")
	h.Note("gone", "")
	if got, want := h.Notes(), []string{"avatar: slow", "report: circuit; open"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBeat(t *testing.T) {
	tests := []struct {
		name  string
		every time.Duration
		do    func(*Beat)
		want  string
	}{
		{"just registered", time.Minute, func(*Beat) {}, ""},
		{"short of three intervals", 5 * time.Second, func(*Beat) { time.Sleep(15 * time.Second) }, ""},
		{
			"after three intervals", 5 * time.Second, func(*Beat) { time.Sleep(16 * time.Second) },
			"pull: no tick for 16s, at most 15s is allowed",
		},
		{"a quick loop, at ten seconds", time.Second, func(*Beat) { time.Sleep(10 * time.Second) }, ""},
		{
			"a quick loop, after ten", time.Second, func(*Beat) { time.Sleep(11 * time.Second) },
			"pull: no tick for 11s, at most 10s is allowed",
		},
		{"ticked in between", time.Second, func(b *Beat) { time.Sleep(9 * time.Second); b.Tick(); time.Sleep(9 * time.Second) }, ""},
		{"comes round again", time.Second, func(b *Beat) { time.Sleep(time.Hour); b.Tick() }, ""},
		{"stopped", time.Second, func(b *Beat) { b.Stop(); b.Stop(); time.Sleep(time.Hour); b.Tick() }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := NewHealth("nats")
				tt.do(h.Beat("pull", tt.every))
				if got := text(h.Alive()); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}

func TestEveryStuckLoopIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth()
		h.Beat("lease", time.Second)
		h.Beat("pull", time.Second).Stop()
		h.Beat("cancel", time.Second)
		time.Sleep(20 * time.Second)
		want := "lease: no tick for 20s, at most 10s is allowed\ncancel: no tick for 20s, at most 10s is allowed"
		if got := text(h.Alive()); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
