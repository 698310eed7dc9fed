//go:build !production

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/clitest"
	"github.com/voip-push/worker/internal/testkit"
)

// TestVerbsRefuse: whatever is missing or forbidden, a verb that asks the broker
// says so in one clear line, soon, with the right exit code.
func TestVerbsRefuse(t *testing.T) {
	bare := testkit.Broker(t, testkit.WithServer(func(o *server.Options) {
		o.NoAuthUser = "all"
		o.Users = []*server.User{{Username: "all"}, {Username: "nobody", Password: "secret", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"nothing"}},
		}}}
	}))
	plain := testkit.Broker(t, testkit.WithServer(func(o *server.Options) { o.JetStream = false }))
	ready := testkit.Broker(t, testkit.Provisioned())
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args, user, url string
		code            int
		stderr          string
	}{
		{args: "check", url: "nats://127.0.0.1:1", code: cli.Failed, stderr: "is it running"},
		{args: "provision", url: "nats://127.0.0.1:1", code: cli.Failed, stderr: "is it running"},
		{args: "check", url: plain.URL(), code: cli.Failed, stderr: "worker: the broker has no JetStream"},
		{args: "provision", url: plain.URL(), code: cli.Failed, stderr: "worker: the broker has no JetStream"},
		{args: "provision --dry-run", url: plain.URL(), code: cli.Failed, stderr: "worker: the broker has no JetStream"},
		{args: "check", user: "stranger", code: cli.Failed, stderr: "check NATS_CREDS_FILE"},
		{args: "provision", user: "stranger", code: cli.Failed, stderr: "check NATS_CREDS_FILE"},
		{args: "check", user: "nobody", code: cli.Failed, stderr: "worker: refused by the broker: "},
		{args: "provision", user: "nobody", code: cli.Failed, stderr: "worker: refused by the broker: "},
		{args: "provision --dry-run", user: "nobody", code: cli.Failed, stderr: "worker: refused by the broker: "},
		{args: "check", code: cli.Failed, stderr: "worker: missing: stream VOIP_PUSH, "},
		{args: "provision --dry-run", code: cli.Done},
		{args: "check", url: ready.URL(), code: cli.Done},
		{args: "provision", url: ready.URL(), code: cli.Done},
		{args: "healthcheck", code: cli.Failed, stderr: "worker: "},
		{args: "check --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "provision --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "run --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "healthcheck --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "demo --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "version --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "sing", code: cli.Misuse, stderr: "unknown command"},
	} {
		values := map[string]string{"NATS_URL": bare.URL(), "REPORT_TRANSPORT": "nats", "NATS_PUSH_MAX_BYTES": "64MiB", "HTTP_ADDR": "127.0.0.1:1"}
		if tt.url != "" {
			values["NATS_URL"] = tt.url
		}
		if tt.user != "" {
			values["NATS_USER"], values["NATS_PASSWORD_FILE"] = tt.user, password
		}
		setEnvironment(t, values)
		ended := clitest.Run(t.Context(), newRoot(), "", strings.Fields(tt.args)...)
		lines := strings.Count(ended.Stderr, "\n")
		if ended.Code != tt.code || !strings.Contains(ended.Stderr, tt.stderr) || (lines != 1) != (tt.stderr == "") {
			t.Errorf("%s %s: exit %d, want %d and %q: %s", tt.args, tt.user, ended.Code, tt.code, tt.stderr, ended.Stderr)
		}
	}
}
