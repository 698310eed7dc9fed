package main

import (
	"io"
	"strings"
	"testing"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/testkit"
)

// TestWatchSince: what is stored comes first, and then what arrives.
func TestWatchSince(t *testing.T) {
	r := newRig(t)
	r.result(1, "a")
	r.result(2, "b")
	var out testkit.Log
	ended := make(chan int, 1)
	go func() {
		code, _ := run(t.Context(), []string{"watch", "--since", "1h", "--count", "3"}, &out)
		ended <- code
	}()
	out.Wait(t, "\nb ")
	r.result(3, "c")
	code := testkit.Receive(t, "the third ends it", ended)
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); code != cli.Done || len(lines) != 4 || !strings.HasPrefix(lines[1], "a ") || !strings.HasPrefix(lines[3], "c ") {
		t.Errorf("exit %d: %s", code, out.String())
	}
	if code, _ := run(t.Context(), []string{"watch", "--since", "-1s"}, io.Discard); code != cli.Misuse {
		t.Errorf("exit %d", code)
	}
}
