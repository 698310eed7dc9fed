package broker

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// handlers are what a connection tells of itself, as lines of the log.
func handlers(cfg *Config, opts *Options) []nats.Option {
	log := opts.Log
	ctx := context.Background()
	var out outage // nats.go calls these one after the other
	failed := func(err error) {
		if out.worthALine(time.Now(), err) {
			log.WarnContext(ctx, "cannot reach NATS, trying again", "error", connectError(cfg, err))
		}
	}
	return []nats.Option{
		nats.ConnectHandler(func(nc *nats.Conn) {
			out = outage{}
			log.InfoContext(ctx, "connected to NATS", "server", RedactURLs(nc.ConnectedUrl()), "server_name", nc.ConnectedServerName())
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.WarnContext(ctx, "lost the connection to NATS, reconnecting", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			out = outage{}
			log.InfoContext(ctx, "reconnected to NATS", "server", RedactURLs(nc.ConnectedUrl()))
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { failed(err) }),
		nats.LameDuckModeHandler(func(nc *nats.Conn) { leaveLameDuck(ctx, nc, log) }),
		nats.ErrorHandler(func(nc *nats.Conn, sub *nats.Subscription, err error) {
			// A reconnect that is refused is told here, again at each try.
			if sub == nil && !nc.IsConnected() && !errors.Is(err, nats.ErrPermissionViolation) {
				failed(err)
				return
			}
			asyncError(ctx, opts, sub, err)
		}),
	}
}

// outage decides which of the tries that fail are worth a line in the log: the
// first, each that fails in another way, and between them ever fewer.
type outage struct {
	last string
	wait time.Duration
	next time.Time
}

const (
	outageWait    = time.Second
	outageMaxWait = time.Minute
)

func (o *outage) worthALine(now time.Time, err error) bool {
	if s := err.Error(); s != o.last {
		*o = outage{last: s, wait: outageWait, next: now.Add(outageWait)}
		return true
	}
	if now.Before(o.next) {
		return false
	}
	o.wait = min(2*o.wait, outageMaxWait)
	o.next = now.Add(o.wait)
	return true
}

const lameDuckSpread = 2 * time.Second

// leaveLameDuck moves to another server before this one closes its
// connections, at a random moment so that a fleet does not move as one. A lone
// server has nowhere to move to.
func leaveLameDuck(ctx context.Context, nc *nats.Conn, log *slog.Logger) {
	if len(nc.Servers()) < 2 {
		log.WarnContext(ctx, "the NATS server is going down, and no other is known")
		return
	}
	wait := rand.N(lameDuckSpread) //nolint:gosec // a jitter needs no secrecy
	log.InfoContext(ctx, "the NATS server is going down, moving to another", "in", wait)
	time.AfterFunc(wait, func() {
		if err := nc.ForceReconnect(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			log.WarnContext(ctx, "cannot move to another NATS server", "error", err)
		}
	})
}

func asyncError(ctx context.Context, opts *Options, sub *nats.Subscription, err error) {
	attrs := []any{"error", err}
	if sub != nil {
		attrs = append(attrs, "subject", sub.Subject)
	}
	if isOptional(err) {
		opts.Log.InfoContext(ctx, "no permission to show as a NATS micro service", attrs...)
		return
	}
	if errors.Is(err, nats.ErrPermissionViolation) {
		opts.Log.ErrorContext(ctx, "NATS refused a permission", attrs...)
		if opts.Violation != nil {
			opts.Violation(err)
		}
		return
	}
	opts.Log.WarnContext(ctx, "NATS reports an error", attrs...)
}

// isOptional: a refusal of what `nats service` asks keeps nobody from its work.
func isOptional(err error) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `Subscription to "$SRV.`)
}
