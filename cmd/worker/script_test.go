//go:build !production

package main

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// TestCommands plays testdata/script: the commands as processes, with what
// they print and how they end. Beside the commands of testscript there are
//
//	exits CODE COMMAND…        the command ends with the code
//	broker NAME [provisioned]  a NATS server starts, and NAME is its URL, ADDR_OF_NAME its address
//	drift URL                  somebody shortens the results' duplicate window
//	drop URL STREAM            somebody deletes a stream
//	taken NAME                 an address is taken, and NAME is it
func TestCommands(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: testkit.Updating(),
		Setup: func(e *testscript.Env) error {
			e.Setenv("HTTP_ADDR", "127.0.0.1:0")
			e.Setenv("GORACE", noExitSleep)
			e.Setenv("NATS_PUSH_MAX_BYTES", "64MiB") // what is asked for must be free on the disk
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"drift": func(ts *testscript.TestScript, _ bool, args []string) { ts.Check(with(t, args[0], shorten)) },
			"drop": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(with(t, args[0], func(ctx context.Context, js jetstream.JetStream) error { return js.DeleteStream(ctx, args[1]) }))
			},
			"broker": func(ts *testscript.TestScript, _ bool, args []string) {
				var options []testkit.Option
				if len(args) > 1 {
					options = append(options, testkit.Provisioned())
				}
				url := testkit.Broker(t, options...).URL()
				ts.Setenv(args[0], url)
				ts.Setenv("ADDR_OF_"+args[0], strings.TrimPrefix(url, "nats://"))
			},
			"taken": func(ts *testscript.TestScript, _ bool, args []string) {
				l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // bound at once
				ts.Check(err)
				ts.Defer(func() { l.Close() })
				ts.Setenv(args[0], l.Addr().String())
			},
		},
	})
}

// with does something to the broker at a URL.
func with(t *testing.T, url string, do func(context.Context, jetstream.JetStream) error) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	return do(t.Context(), js)
}

// shorten makes the stream of results one that forgets ids too early.
func shorten(ctx context.Context, js jetstream.JetStream) error {
	s, err := js.Stream(ctx, voip.StreamResult)
	if err != nil {
		return err
	}
	cfg := s.CachedInfo().Config
	cfg.Duplicates = time.Minute
	_, err = js.UpdateStream(ctx, cfg)
	return err
}

// noExitSleep: the race detector lets every process that ends well sleep for a
// second.
const noExitSleep = "atexit_sleep_ms=0"

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", filepath.Join(args[1:]...), got, want)
	}
}
