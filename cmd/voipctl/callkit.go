package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/voip"
)

// callkitFlags say where the model is served, and how it misbehaves.
type callkitFlags struct {
	nats          bool
	subject, addr string
	rules         []string
	opts          callkit.Options
}

func newCallKit() *cobra.Command {
	var f callkitFlags
	c := &cobra.Command{
		Use:   "callkit",
		Short: "Serve a model of Call Kit on NATS and HTTP, with faults to inject",
		Long: `Serve a model of Call Kit: the system's voipCall module on any number of devices,
and the bridge in front of it. It stands in for the devices while a worker or a
bridge is developed, and to rehearse what goes wrong.

Every report is printed as a line of JSON, a summary on the standard error at the
end (SIGINT or SIGTERM). A user's name is shown with LOG_PRIVATE=true alone.

On NATS it is a micro service: see it with "nats service list" and "nats service
stats". Over HTTP reports are POSTed to /report, and a control API makes things
happen on the devices. It asks nobody who they are: keep it on this machine.

  GET  /calls                                the calls that are live
  GET  /stats                                what was counted
  POST /calls/CALLID/answer|hangup           ?device=ID&bundle=NAME
  POST /devices/ID/dial|answer|end           the user dials or takes a carrier call, or ends it
  POST /service/down|up|restart              the system's service; every call is gone then
  GET  /faults, POST /faults, DELETE /faults rules, as --fail takes them

A rule says what goes wrong and for whom, in words separated by spaces or commas:

  reason=2, reason=VOIP_CALL_EXISTS          this ErrorReason
  code=1007200003                            this code
  status=503 [retry-after=2s]                the bridge answers with this status
  lost                                       the call is accepted, its answer is lost
  reset                                      the connection breaks
  away                                       nobody is there (over HTTP: as reset)
  latency=20ms, latency=20ms..300ms          median, and 99th percentile

  share=10%                                  of the calls, always the same ones
  call=c-*, device=d1                        a pattern of callIds; a device
  attempts=2                                 the first two attempts of each call
  after=10s, for=30s                         from when on, and how long

Of several rules that match, the latencies add up and the first fault counts.`,
		Example: `  voipctl callkit --nats
  voipctl callkit --http 127.0.0.1:9090 --fail 'latency=20ms..300ms' --fail 'lost share=5% attempts=1'
  voipctl callkit --nats --http :9090 --fail 'status=503 retry-after=2s after=10s for=30s'
  curl -X POST 127.0.0.1:9090/devices/d1/dial
  curl 127.0.0.1:9090/faults -d 'reason=CELLULAR_CALL_EXISTS call=c-7'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serveCallKit(cmd, &f) },
	}
	flags := c.Flags()
	flags.BoolVar(&f.nats, "nats", false, "serve on NATS, at the broker of the NATS_* settings")
	flags.StringVar(&f.subject, "subject", voip.SubjectReport, "subject of the requests, with --nats")
	flags.StringVar(&f.addr, "http", "", "serve over HTTP at this host:port; port 0: any free one, which is printed")
	flags.StringArrayVar(&f.rules, "fail", nil, "a rule of what goes wrong; may be given more than once")
	flags.BoolVar(&f.opts.ForgetKeys, "forget-keys", false, "be a bridge that knows no idempotency keys")
	flags.BoolVar(&f.opts.SayDuplicate, "say-duplicate", false, `say "duplicate":true where a call was reported already`)
	flags.BoolVar(&f.opts.BusyIsInternal, "busy-is-internal", false, "answer 1007200003 instead of VOIP_CALL_EXISTS")
	flags.BoolVar(&f.opts.CarrierIsInternal, "carrier-is-internal", false, "answer 1007200003 instead of CELLULAR_CALL_EXISTS")
	flags.DurationVar(&f.opts.AnswerTimeout, "answer-timeout", 0, "end a call that nobody answers after it (0: a minute)")
	return c
}

// faults reads the rules, and says what is wrong with every one of them.
func (f *callkitFlags) faults() ([]callkit.Fault, error) {
	var errs []error
	if !f.nats && f.addr == "" {
		errs = append(errs, errors.New("nowhere to serve, want --nats, --http ADDR or both; see voipctl callkit --help"))
	}
	if _, _, err := net.SplitHostPort(f.addr); f.addr != "" && err != nil {
		errs = append(errs, fmt.Errorf("--http %q: want host:port or :port", f.addr))
	}
	faults := make([]callkit.Fault, 0, len(f.rules))
	for _, rule := range f.rules {
		fault, err := callkit.ParseFault(rule)
		if err == nil {
			_, err = callkit.New(callkit.Options{}).Inject(fault)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("--fail: %w", err))
		}
		faults = append(faults, fault)
	}
	return faults, errors.Join(errs...)
}

func serveCallKit(cmd *cobra.Command, f *callkitFlags) error {
	faults, err := f.faults()
	if err != nil {
		return cli.Usage(err)
	}
	var s struct{ Log settings.Log }
	if _, err := settings.Load(&s); err != nil {
		return err
	}
	lines := newReportLines(cmd.OutOrStdout(), s.Log.Private)
	f.opts.Observe, f.opts.List = lines.show, true
	m := callkit.New(f.opts)
	for _, fault := range faults {
		if _, err := m.Inject(fault); err != nil {
			return err
		}
	}
	return f.serve(cmd, m, s.Log.Logger(cmd.ErrOrStderr()), func() { lines.summary(cmd.ErrOrStderr(), m.Stats()) })
}

// serve serves until the command is told to stop, a server fails, or the broker
// refuses the subject; ended is called when it has served.
func (f *callkitFlags) serve(cmd *cobra.Command, m *callkit.Model, log *slog.Logger, ended func()) error {
	told := cmd.Context()
	var session *cli.Session
	var l net.Listener
	var err error
	if f.addr != "" {
		if l, err = new(net.ListenConfig).Listen(cmd.Context(), "tcp", f.addr); err != nil {
			return err
		}
		defer l.Close() //nolint:errcheck // its server has closed it
	}
	if f.nats {
		if told, session, err = cli.Open(cmd, name); err != nil {
			return err
		}
		defer session.Close()
	}
	// Either server ends when the other fails; being told to stop is no failure.
	defer ended()
	group, ctx := errgroup.WithContext(told)
	if l != nil {
		group.Go(func() error { return callkit.ServeHTTP(ctx, l, m, log) })
		fmt.Fprintf(cmd.ErrOrStderr(), "Call Kit is served over HTTP, POST http://%s%s\n", l.Addr(), callkit.ReportPath)
	}
	if session != nil {
		group.Go(func() error { return callkit.ServeNATS(ctx, session.Conn, f.subject, m) })
		fmt.Fprintf(cmd.ErrOrStderr(), "Call Kit is served on NATS, subject %s\n", f.subject)
	}
	return errors.Join(group.Wait(), cli.Refused(told))
}
