package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/cmd/internal/cli"
	"github.com/voip-push/worker/internal/voip"
)

type loadFlags struct {
	count                    int
	rate                     float64
	duration, timeout        time.Duration
	avatars, out             string
	voice, video, duplicates float64
	seed                     uint64
	asJSON                   bool
}

func newLoad() *cobra.Command {
	var f loadFlags
	c := &cobra.Command{
		Use:   "load",
		Short: "Send pushes at a steady rate, and measure what becomes of them",
		Long: `Send pushes at a steady rate, and measure what becomes of them. The rate does not
wait for the workers, and latency counts from the moment at which a push was meant to
be sent to the arrival of its result: a stall shows in full.

Calls are alternately voice and video by their shares; each has a picture of
--avatars, sent within the push as a data: URL. --duplicates is the share of calls
whose push is sent a second time, without Nats-Msg-Id, so that the workers see it.
The same --seed makes the same pushes, but for the callIds.

Exit 1 when a push is not stored, or a call has no result --timeout after the last.`,
		Example: `  publisher load --count 1000 --rate 200
  publisher load --rate 500 --duration 1m --avatars ./pictures --voice 0.8 --video 0.2 --out report.html
  publisher load --count 5000 --rate 1000 --duplicates 0.05 --seed 7 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return load(cmd, &f) },
	}
	flags := c.Flags()
	flags.IntVar(&f.count, "count", 0, "how many calls (0: as --duration says)")
	flags.Float64Var(&f.rate, "rate", 100, "calls a second")
	flags.DurationVar(&f.duration, "duration", 0, "for how long (0: as --count says; both: whichever ends first)")
	flags.StringVar(&f.avatars, "avatars", "", "folder of pictures, each at most 112 KiB")
	flags.Float64Var(&f.voice, "voice", 1, "share of voice calls, beside --video")
	flags.Float64Var(&f.video, "video", 1, "share of video calls, beside --voice")
	flags.Float64Var(&f.duplicates, "duplicates", 0, "share of calls whose push is sent twice, 0 to 1")
	flags.Uint64Var(&f.seed, "seed", 1, "what the pushes are drawn by")
	flags.DurationVar(&f.timeout, "timeout", 90*time.Second, "how long to wait for results after the last push")
	flags.StringVar(&f.out, "out", "", "write a page with the figures and their course over time to this file")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object")
	cli.Folder(c, "avatars")
	cli.File(c, "out")
	return c
}

// maxLoad bounds what is kept of the calls: some forty bytes for each.
const maxLoad = 50_000_000

func (f *loadFlags) validate() error {
	var errs []error
	fault := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(f.count < 0, "--count %d: want 0 or more", f.count)
	fault(!(f.rate > 0 && f.rate <= 1e6), "--rate %g: want more than 0, and at most 1000000 a second", f.rate)
	fault(f.duration < 0, "--duration %s: want 0 or more", f.duration)
	fault(f.timeout < 0, "--timeout %s: want 0 or more", f.timeout)
	fault(f.count == 0 && f.duration == 0, "how many calls? want --count, --duration or both")
	fault(!(f.voice >= 0 && f.video >= 0 && f.voice+f.video > 0), "--voice %g --video %g: want two shares of 0 or more, one of them over 0", f.voice, f.video)
	fault(!(f.duplicates >= 0 && f.duplicates <= 1), "--duplicates %g: want 0 to 1", f.duplicates)
	if err := errors.Join(errs...); err != nil {
		return cli.Usage(err)
	}
	if timed := f.rate * f.duration.Seconds(); f.duration > 0 && (f.count == 0 || timed < float64(f.count)) {
		f.count = max(1, int(min(timed, maxLoad+1)))
	}
	if f.count > maxLoad {
		return cli.Usage(fmt.Errorf("%d calls are too many for one run: want at most %d", f.count, maxLoad))
	}
	return nil
}

func load(cmd *cobra.Command, f *loadFlags) (err error) {
	if err := f.validate(); err != nil {
		return err
	}
	plan, err := newPlan(f)
	if err != nil {
		return err
	}
	var page *os.File
	if f.out != "" { // before the run: it would be in vain
		if page, err = os.Create(f.out); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		defer func() { err = errors.Join(err, page.Close()) }()
	}
	ctx, s, err := cli.Open(cmd, name)
	if err != nil {
		return err
	}
	defer s.Close()
	flush, err := startTraces(ctx, cmd, s)
	if err != nil {
		return err
	}
	defer flush()
	if _, err := s.JS.Stream(ctx, voip.StreamPush); err != nil {
		return cli.Fault(ctx, voip.StreamPush, err)
	}
	run := newLoadRun(s, plan, f)
	ended := run.run(ctx, newProgress(cmd.ErrOrStderr(), f.count))
	report := run.report()
	if f.asJSON {
		err = cli.JSON(cmd.OutOrStdout(), report)
	} else {
		report.print(cmd.OutOrStdout())
	}
	if page != nil {
		err = errors.Join(err, report.page(page))
	}
	if ended == nil {
		ended = report.fault()
	}
	return errors.Join(ended, err)
}
