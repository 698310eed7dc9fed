package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/broker"
)

const verbTimeout = 30 * time.Second

// visit is one verb's connection to the broker.
type visit struct {
	broker broker.Config
	looks  bool   // it changes nothing, and leaves nothing behind
	where  string // the broker that was found, for people
}

// namesBroker refuses a build that has no embedded broker the one on this
// machine, which whoever left NATS_URL out did not mean.
func namesBroker(b *broker.Config) error {
	if broker.HasEmbedded || !b.IsEmbedded() {
		return nil
	}
	return errors.New("NATS_URL: this build has no embedded broker, want a comma-separated list of nats://host:port")
}

// run connects, and says at once when nobody is there. An embedded broker is the
// running worker's, or is started for the verb.
func (v *visit) run(ctx context.Context, do func(context.Context, jetstream.JetStream) error) error {
	ctx, cancel := context.WithTimeout(ctx, verbTimeout)
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	opts := broker.Options{
		Name: "voip-worker verb", InboxPrefix: inboxPrefix, Log: slog.New(slog.DiscardHandler),
		Violation: refuse, // to whoever asked it would look like a timeout
	}
	nc, err := broker.Connect(&v.broker, opts) //nolint:contextcheck // a connection outlives the context that it was made in
	v.where = found(nc)
	if err != nil && v.broker.IsEmbedded() {
		var stop func()
		nc, stop, err = v.embedded(opts) //nolint:contextcheck // likewise
		defer stop()
	}
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, set := os.LookupEnv("NATS_URL"); !set {
		v.where += "; NATS_URL is not set"
	}
	js, err := broker.JetStream(nc)
	if err != nil {
		return err
	}
	err = do(ctx, js)
	if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
		return fmt.Errorf("refused by the broker: %w", cause)
	}
	if cli.LacksJetStream(err) {
		return cli.ErrNoJetStream
	}
	return err
}

// found is the broker at the other end of a connection.
func found(nc *nats.Conn) string {
	if nc == nil {
		return ""
	}
	return broker.RedactURLs(nc.ConnectedUrl()) + ", server " + nc.ConnectedServerName()
}

// embedded starts the broker that no worker runs.
func (v *visit) embedded(opts broker.Options) (nc *nats.Conn, stop func(), err error) {
	v.where = "embedded, started for this command, with its data in " + v.broker.EmbeddedDir
	b, clean := v.broker, func() {}
	if v.looks && b.EmbeddedDir != "" && !exists(filepath.Join(b.EmbeddedDir, "jetstream")) {
		v.where = "embedded, without any data in " + b.EmbeddedDir
		if b.EmbeddedDir, err = scratch(b.EmbeddedDir); err != nil {
			return nil, clean, err
		}
		clean = func() { _ = os.RemoveAll(b.EmbeddedDir) } // a server that has stopped holds on to nothing
	}
	server, err := broker.StartEmbedded(&b, opts.Log)
	if err != nil {
		return nil, clean, err
	}
	nc, err = broker.Connect(&b, server.Options(opts))
	return nc, func() { server.Stop(); clean() }, err
}

// scratch makes a folder that is not there yet, for a while: under another name,
// so that what is thrown away is never a worker's that has started meanwhile,
// and where it would be, so that whether it can be made is known.
func scratch(dir string) (string, error) {
	for !exists(dir) && dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
	}
	dir, err := os.MkdirTemp(dir, ".voip-look-*")
	if err != nil {
		return "", fmt.Errorf("NATS_EMBEDDED_DIR: %w", err)
	}
	return dir, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
