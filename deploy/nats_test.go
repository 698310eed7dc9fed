package deploy

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// TestServers: the servers' configuration is legal with the passwords that the
// README has made, and the port of the cluster asks for one.
func TestServers(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("the README's commands need openssl")
	}
	dir, component := t.TempDir(), "k8s/components/nats"
	if err := os.CopyFS(dir, os.DirFS(component)); err != nil {
		t.Fatal(err)
	}
	_, commands, _ := strings.Cut(read(t, filepath.Join(component, "README.md")), "```sh\n")
	commands, _, _ = strings.Cut(commands, "kubectl")
	sh := exec.CommandContext(context.Background(), "sh", "-eu", "-c", commands)
	sh.Dir = dir
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("POD_NAME", "nats-0")
	opts, err := server.ProcessConfigFile(filepath.Join(dir, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if opts.SyncInterval != 2*time.Minute {
		t.Errorf("sync_interval is %v, want what docs/runbook.md says: 2m", opts.SyncInterval)
	}
	grace := regexp.MustCompile(`terminationGracePeriodSeconds: (\d+)\n`).FindStringSubmatch(read(t, filepath.Join(component, "statefulset.yaml")))
	if grace == nil {
		t.Fatal("statefulset.yaml has no terminationGracePeriodSeconds")
	}
	if until, err := time.ParseDuration(grace[1] + "s"); err != nil || until < opts.LameDuckGracePeriod+opts.LameDuckDuration+10*time.Second {
		t.Errorf("a server is killed after %v (%v), before its lame duck of %v has ended", until, err, opts.LameDuckDuration)
	}
	if opts.ServerName != "nats-0" || len(opts.Users) != 4 || len(opts.Routes) != 3 {
		t.Errorf("server %q, %d users, %d routes; want nats-0, 4 and 3", opts.ServerName, len(opts.Users), len(opts.Routes))
	}
	for _, route := range opts.Routes {
		if password, _ := route.User.Password(); password == "" || password != opts.Cluster.Password || route.User.Username() != opts.Cluster.Username {
			t.Errorf("the route to %s is not let in", route.Host)
		}
	}
}
