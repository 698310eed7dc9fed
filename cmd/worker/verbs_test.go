//go:build !production

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/voip-push/worker/cmd/internal/cli"
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
		{args: "check", user: "nobody", code: cli.Failed, stderr: "worker: refused by the broker: "},
		{args: "provision", user: "nobody", code: cli.Failed, stderr: "worker: refused by the broker: "},
		{args: "provision --dry-run", user: "nobody", code: cli.Failed, stderr: "worker: refused by the broker: "},
		{args: "check", code: cli.Failed, stderr: "worker: missing: stream VOIP_PUSH, "},
		{args: "provision --dry-run", code: cli.Done},
		{args: "check --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "provision --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "run --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "healthcheck --loud", code: cli.Misuse, stderr: "unknown flag: --loud"},
		{args: "sing", code: cli.Misuse, stderr: "unknown command"},
	} {
		values := map[string]string{"NATS_URL": bare.URL(), "REPORT_TRANSPORT": "nats", "NATS_PUSH_MAX_BYTES": "64MiB"}
		if tt.url != "" {
			values["NATS_URL"] = tt.url
		}
		if tt.user != "" {
			values["NATS_USER"], values["NATS_PASSWORD_FILE"] = tt.user, password
		}
		setEnvironment(t, values)
		root := newRoot()
		var out, errs bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&errs)
		root.SetArgs(strings.Fields(tt.args))
		code := cli.Execute(t.Context(), root)
		lines := strings.Count(errs.String(), "\n")
		if code != tt.code || !strings.Contains(errs.String(), tt.stderr) || (lines != 1) != (tt.stderr == "") {
			t.Errorf("%s %s: exit %d, want %d and %q: %s", tt.args, tt.user, code, tt.code, tt.stderr, &errs)
		}
	}
}
