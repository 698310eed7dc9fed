//go:build production

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/clitest"
	"github.com/voip-push/worker/internal/testkit"
)

// TestNoEmbeddedBroker: without NATS_URL this build finds no broker, whatever
// listens on this machine, and changes none.
func TestNoEmbeddedBroker(t *testing.T) {
	s := testkit.Broker(t)
	t.Setenv("NATS_EMBEDDED_ADDR", strings.TrimPrefix(s.URL(), "nats://"))
	t.Setenv("NATS_URL", "") // restores it
	if err := os.Unsetenv("NATS_URL"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REPORT_TRANSPORT", "nats")
	const want = "worker: NATS_URL: this build has no embedded broker, want a comma-separated list of nats://host:port\n"
	for _, verb := range []string{"provision", "provision --dry-run", "check", "run"} {
		ended := clitest.Run(t.Context(), newRoot(), "", strings.Fields(verb)...)
		if ended.Code != cli.Failed || ended.Stderr != want {
			t.Errorf("%s: exit %d: %s", verb, ended.Code, ended.Stderr)
		}
	}
	names := s.JS(t).StreamNames(t.Context())
	for name := range names.Name() {
		t.Errorf("stream %s is made", name)
	}
	if err := names.Err(); err != nil {
		t.Error(err)
	}
}

// TestNoEmbeddedPromised: the help of this build promises neither a broker nor a
// model of Call Kit.
func TestNoEmbeddedPromised(t *testing.T) {
	ended := clitest.Run(t.Context(), newRoot(), "", "run", "--help")
	if !strings.Contains(ended.Stdout, "NATS_URL and REPORT_TRANSPORT must be set") || strings.Contains(ended.Stdout, "it runs the embedded broker") {
		t.Error(ended.Stdout)
	}
}
