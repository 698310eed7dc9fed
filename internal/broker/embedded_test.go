//go:build !production

package broker_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

func embedded(addr, dir string) *broker.Config {
	return &broker.Config{
		URL: broker.Embedded, EmbeddedAddr: addr, EmbeddedDir: dir,
		Replicas: 1, PushMaxBytes: 64 << 20, MaxAckPending: 16384, AckWait: 5 * time.Second,
	}
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	if !broker.HasEmbedded {
		t.Error("this build says that it has no embedded broker")
	}
	var log testkit.Log
	cfg := embedded("127.0.0.1:0", filepath.Join(t.TempDir(), "made", "on", "the", "way"))
	s, err := broker.StartEmbedded(cfg, log.Logger())
	if err != nil {
		t.Fatal(err)
	}
	if s.URL() == "nats://127.0.0.1:0" || !strings.HasPrefix(s.URL(), "nats://127.0.0.1:") {
		t.Errorf("it listens on %s", s.URL())
	}
	nc, err := broker.Connect(cfg, s.Options(broker.Options{Name: "inside", Log: log.Logger()}))
	if err != nil {
		t.Fatal(err)
	}
	js, err := broker.JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Provision(t.Context(), js, cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), voip.SubjectCancel, []byte("kept")); err != nil {
		t.Fatal(err)
	}
	outside := broker.Config{URL: s.URL()}
	other, _ := mustConnect(t, &outside, broker.Options{})
	if !other.IsConnected() {
		t.Error("another process does not reach it")
	}
	nc.Close()
	other.Close()
	s.Stop()

	if s, err = broker.StartEmbedded(cfg, log.Logger()); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	nc, err = broker.Connect(cfg, s.Options(broker.Options{Log: log.Logger()}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if js, err = broker.JetStream(nc); err != nil {
		t.Fatal(err)
	}
	if drift := inspect(t, js, cfg); drift != nil {
		t.Errorf("after a restart: %q", lines(drift))
	}
	if m := testkit.Messages(t, js, voip.StreamCancel); len(m) != 1 || string(m[0].Data) != "kept" {
		t.Errorf("after a restart the stream holds %v", m)
	}
	if !strings.Contains(log.String(), `level=DEBUG msg="embedded broker" line=`) || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("the log: %s", log.String())
	}
}

func TestEmbeddedRefuses(t *testing.T) {
	t.Parallel()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	addr := taken.Addr().String()
	file := write(t, "x")
	spoilt := t.TempDir()
	if err := os.WriteFile(filepath.Join(spoilt, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(t.TempDir(), "locked")
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ addr, dir, want string }{
		"a taken port":              {addr, t.TempDir(), "NATS_EMBEDDED_ADDR: listen tcp " + addr + ": bind: address already in use; set another address, or NATS_URL to the broker that is there"},
		"no port":                   {"127.0.0.1", t.TempDir(), "NATS_EMBEDDED_ADDR: address 127.0.0.1: missing port in address"},
		"a port that is none":       {"127.0.0.1:nats", t.TempDir(), `NATS_EMBEDDED_ADDR: the port "nats" is no number`},
		"a file for a folder":       {"127.0.0.1:0", file, "NATS_EMBEDDED_DIR: mkdir " + file + ": not a directory"},
		"a folder below a file":     {"127.0.0.1:0", filepath.Join(file, "sub"), "NATS_EMBEDDED_DIR: mkdir " + file + ": not a directory"},
		"no folder":                 {"127.0.0.1:0", "", "NATS_EMBEDDED_DIR: mkdir : no such file or directory"},
		"a folder that is no store": {"127.0.0.1:0", spoilt, "start the embedded broker on 127.0.0.1:0 with NATS_EMBEDDED_DIR \"" + spoilt + "\": Can't start JetStream: "},
		"a folder that is locked":   {"127.0.0.1:0", locked, "NATS_EMBEDDED_DIR: open " + locked + "/.writable-"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "a folder that is locked" && os.Geteuid() == 0 {
				t.Skip("nothing is locked for root")
			}
			start := time.Now()
			var log testkit.Log
			s, err := broker.StartEmbedded(embedded(tt.addr, tt.dir), log.Logger())
			if err == nil {
				s.Stop()
			}
			if !strings.HasPrefix(text(err), tt.want) || err == nil {
				t.Errorf("got %v, want %s…", err, tt.want)
			}
			if took := time.Since(start); took > 15*time.Second {
				t.Errorf("it took %v to say so", took)
			}
		})
	}
}
