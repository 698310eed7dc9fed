// Command bench compares the worker with null workers and with a watermill
// router, each a process of its own beside a real nats-server process, in turn
// and in several rounds: how fast it drains a backlog, and how late results come
// at a steady rate (-latency).
//
// No figure of it is a threshold: machines differ, ratios of one run compare.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"
)

type options struct {
	count, rounds, rate int
	workers, servers    []int
	duration            time.Duration
	latency, stale      bool
	only, against, sync string
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "null":
			exit(nullWorker(os.Args[2:]))
		case "watermill":
			exit(watermillWorker(os.Args[2:]))
		}
	}
	o := options{workers: []int{1}, servers: []int{1}}
	flag.IntVar(&o.count, "count", 50_000, "pushes of one drain")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each worker has its turn")
	flag.BoolVar(&o.latency, "latency", false, "send at a steady rate and time each push, instead of draining a backlog")
	flag.BoolVar(&o.stale, "stale", false, "a backlog of which nine of ten pushes have expired, and the last has not")
	flag.IntVar(&o.rate, "rate", 1000, "pushes a second, with -latency")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "how long to send, with -latency")
	flag.Func("workers", "processes of each worker, on one consumer: a number, or several with commas between", counts(&o.workers, 16))
	flag.Func("servers", "nats-server processes, with as many replicas: 1, 3, or both as 1,3", counts(&o.servers, 5))
	flag.StringVar(&o.only, "only", "", "comma-separated names of the workers to run; empty: all")
	flag.StringVar(&o.against, "against", "", "comma-separated NAME=PATH of other builds of the worker to compare with")
	flag.StringVar(&o.sync, "sync", "", "the server's sync_interval, such as always; empty: its default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, o options) error {
	bin, err := build(ctx)
	if err != nil {
		return err
	}
	defer bin.remove()
	picture, err := servePicture(ctx)
	if err != nil {
		return err
	}
	all := contenders(o, bin, picture)
	if len(all) == 0 {
		return fmt.Errorf("-only=%s names none of the workers", o.only)
	}
	if o.latency {
		runs, err := rounds(ctx, bin, all, o, latency, func(l latencies) string {
			return fmt.Sprintf("p50 %8.2f ms  p99 %8.2f ms", l.at(.5).Seconds()*1000, l.at(.99).Seconds()*1000)
		})
		if err != nil {
			return err
		}
		return reportLatency(all, runs)
	}
	figures, err := rounds(ctx, bin, all, o, drain, func(f figure) string {
		return fmt.Sprintf("%8.0f pushes/s  %5.1f MiB", f.rate, f.rss)
	})
	if err != nil {
		return err
	}
	return report(all, figures)
}

// rounds gives each contender its turn, round after round, so that what a
// machine does meanwhile meets all of them.
func rounds[T any](ctx context.Context, bin *binaries, all []contender, o options,
	turn func(context.Context, *binaries, contender, options) (T, error), line func(T) string,
) (map[string][]T, error) {
	had := map[string][]T{}
	for round := range o.rounds {
		for _, c := range all {
			f, err := turn(ctx, bin, c, o)
			if err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", c.label(), round+1, err)
			}
			had[c.label()] = append(had[c.label()], f)
			fmt.Fprintf(os.Stderr, "round %d  %-22s %s\n", round+1, c.label(), line(f))
		}
	}
	return had, nil
}

// report prints the medians, and each rate as a share of the first
// contender's of the same round.
func report(all []contender, figures map[string][]figure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "worker\tpushes/s\tmin\tmax\tCPU s per 1,000\tserver's\tpeak RSS MiB\tall by s\tof "+all[0].label()+"\tmin\tmax\t")
	for _, c := range all {
		var rates, cpus, servers, sizes, wholes, ratios []float64
		for i, f := range figures[c.label()] {
			rates, cpus, servers, sizes = append(rates, f.rate), append(cpus, f.cpu), append(servers, f.serverCPU), append(sizes, f.rss)
			wholes = append(wholes, f.whole)
			ratios = append(ratios, f.rate/figures[all[0].label()][i].rate)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.4f\t%.4f\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t\n", c.label(), median(rates), slices.Min(rates), slices.Max(rates),
			median(cpus), median(servers), slices.Max(sizes), slices.Max(wholes), median(ratios), slices.Min(ratios), slices.Max(ratios))
	}
	return w.Flush()
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
