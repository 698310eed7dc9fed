package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/testkit"
)

// rig is a NATS server with the users of accounts.conf, and the three commands.
type rig struct {
	t      *testing.T
	server *server.Server
	wire   wire
	users  map[string]user
	dir    string // of the users' passwords
}

// user is what one may do.
type user struct{ publish, subscribe []string }

func newRig(t *testing.T) *rig {
	t.Helper()
	r := newRigOf(t, "k8s/components/nats/accounts.conf")
	if len(r.users) != 4 {
		t.Fatalf("%d users in accounts.conf, want 4", len(r.users))
	}
	return r
}

// newRigOf has the users of another file. Whoever has a name with a number in it
// shares the password of those without.
func newRigOf(t *testing.T, accounts string) *rig {
	t.Helper()
	r := &rig{t: t, users: map[string]user{}, dir: t.TempDir()}
	conf := read(t, accounts)
	r.write("accounts.conf", conf)
	passwords := map[string]string{} // what is not asked for would be a fault of the configuration
	for _, m := range regexp.MustCompile(`\$(\w+)_password`).FindAllStringSubmatch(conf, -1) {
		passwords[m[1]+"_password"] = secretOf(m[1])
	}
	text, err := json.Marshal(passwords)
	if err != nil {
		t.Fatal(err)
	}
	r.write("passwords.conf", string(text))
	opts, err := server.ProcessConfigFile(filepath.Join(r.dir, "accounts.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range opts.Users {
		r.write(u.Username, secretOf(u.Username))
		var p user
		if u.Permissions != nil {
			p.subscribe = u.Permissions.Subscribe.Allow
			if u.Permissions.Publish != nil {
				p.publish = u.Permissions.Publish.Allow
			}
		}
		r.users[u.Username] = p
	}
	opts.Host, opts.Port, opts.JetStream, opts.StoreDir, opts.NoSigs = "127.0.0.1", server.RANDOM_PORT, true, t.TempDir(), true
	if r.server, err = server.NewServer(opts); err != nil {
		t.Fatal(err)
	}
	r.server.SetLogger(&r.wire, false, true)
	r.server.Start()
	t.Cleanup(func() { r.server.Shutdown(); r.server.WaitForShutdown() })
	if !r.server.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server is not ready")
	}
	return r
}

// secretOf is a user's password.
func secretOf(user string) string {
	kind, _, _ := strings.Cut(user, "-")
	return "secret of the " + kind
}

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// connect is a client that is none of the commands, with an inbox of that name.
func (r *rig) connect(name, inbox string) *nats.Conn {
	r.t.Helper()
	nc, err := nats.Connect(r.server.ClientURL(), nats.UserInfo(name, secretOf(name)), nats.CustomInboxPrefix("_INBOX."+inbox))
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	r.t.Cleanup(nc.Close)
	return nc
}

// binaries are the three commands, built once.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "voip-push-deploy-") // it outlives the test that comes first
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", dir, "../cmd/worker", "../cmd/publisher", "../cmd/voipctl").CombinedOutput()
	if err != nil {
		return dir, errors.New(string(out))
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := binaries(); dir != "" { // whatever became of the build
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// command is one of the three as a user. Arguments with a = are settings.
func (r *rig) command(ctx context.Context, name, binary string, args ...string) *exec.Cmd {
	r.t.Helper()
	dir, err := binaries()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(dir, binary))
	cmd.Env = []string{
		"NATS_URL=" + r.server.ClientURL(), "NATS_USER=" + name, "NATS_PASSWORD_FILE=" + filepath.Join(r.dir, name),
		"REPORT_TRANSPORT=nats", "HTTP_ADDR=127.0.0.1:0", "NATS_PUSH_MAX_BYTES=64MiB",
	}
	for _, arg := range args {
		if strings.Contains(arg, "=") {
			cmd.Env = append(cmd.Env, arg)
			continue
		}
		cmd.Args = append(cmd.Args, arg)
	}
	return cmd
}

// run runs a command to its end, which must be a good one.
func (r *rig) run(name, binary string, args ...string) {
	r.t.Helper()
	if out, err := r.command(r.t.Context(), name, binary, args...).CombinedOutput(); err != nil {
		r.t.Fatalf("%s as %s: %s %v: %v\n%s", binary, name, binary, args, err, out)
	}
}

// process is a command that runs until it is stopped.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	log  testkit.Log
	once sync.Once
}

func (r *rig) start(name, binary string, args ...string) *process {
	r.t.Helper()
	p := &process{t: r.t, cmd: r.command(context.WithoutCancel(r.t.Context()), name, binary, args...)}
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if err := p.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		p.stop()
		if r.t.Failed() {
			r.t.Logf("%s:\n%s", binary, p.log.String())
		}
	})
	return p
}

// stop ends a process as an orchestrator does.
func (p *process) stop() {
	p.once.Do(func() {
		err := p.cmd.Process.Signal(syscall.SIGTERM)
		if err == nil {
			err = p.cmd.Wait()
		}
		if err != nil {
			p.t.Errorf("%s: %v", p.cmd.Path, err)
		}
	})
}
