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
	"strings"
	"text/tabwriter"
	"time"
)

type options struct {
	count, rounds, rate int
	workers, servers    int
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
	var o options
	flag.IntVar(&o.count, "count", 50_000, "pushes of one drain")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each worker has its turn")
	flag.BoolVar(&o.latency, "latency", false, "send at a steady rate and time each push, instead of draining a backlog")
	flag.BoolVar(&o.stale, "stale", false, "a backlog of which nine of ten pushes have expired, and the last has not")
	flag.IntVar(&o.rate, "rate", 1000, "pushes a second, with -latency")
	flag.DurationVar(&o.duration, "duration", 10*time.Second, "how long to send, with -latency")
	flag.IntVar(&o.workers, "workers", 1, "processes of each worker, on one consumer")
	flag.IntVar(&o.servers, "servers", 1, "nats-server processes: 1, or 3 as a cluster, with three replicas of everything")
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
				return nil, fmt.Errorf("%s, round %d: %w", c.name, round+1, err)
			}
			had[c.name] = append(had[c.name], f)
			fmt.Fprintf(os.Stderr, "round %d  %-22s %s\n", round+1, c.name, line(f))
		}
	}
	return had, nil
}

// report prints the medians, and each rate as a share of the first
// contender's of the same round.
func report(all []contender, figures map[string][]figure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "worker\tpushes/s\tmin\tmax\tCPU s per 1,000\tserver's\tpeak RSS MiB\tall by s\tof "+all[0].name+"\tmin\tmax\t")
	for _, c := range all {
		var rates, cpus, servers, sizes, wholes, ratios []float64
		for i, f := range figures[c.name] {
			rates, cpus, servers, sizes = append(rates, f.rate), append(cpus, f.cpu), append(servers, f.serverCPU), append(sizes, f.rss)
			wholes = append(wholes, f.whole)
			ratios = append(ratios, f.rate/figures[all[0].name][i].rate)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.4f\t%.4f\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t\n", c.name, median(rates), slices.Min(rates), slices.Max(rates),
			median(cpus), median(servers), slices.Max(sizes), slices.Max(wholes), median(ratios), slices.Min(ratios), slices.Max(ratios))
	}
	return w.Flush()
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// contender is one worker of the comparison.
type contender struct {
	name   string
	args   []string // of its process
	env    []string
	avatar string // URL in every push; empty: none
	share  int    // it drains one part in so many of the backlog: a slow one
	peer   bool   // a stop is no clean exit
}

func contenders(o options, bin *binaries, picture string) []contender {
	all := []contender{
		{name: "null", args: []string{bin.self, "null"}},
		{name: "null-goroutines", args: []string{bin.self, "null", "-goroutines"}},
		{name: "null-claims", args: []string{bin.self, "null", "-goroutines", "-claim"}},
		{name: "watermill", args: []string{bin.self, "watermill"}, share: 10, peer: true},
		{name: "watermill-64", args: []string{bin.self, "watermill", "-handlers", "64"}, share: 5, peer: true},
	}
	builds := append([]string{"worker=" + bin.worker}, strings.Split(o.against, ",")...)
	for _, build := range builds {
		name, path, ok := strings.Cut(build, "=")
		if !ok {
			continue
		}
		for _, claim := range []string{"always", "msgid"} {
			env := []string{
				"REPORT_TRANSPORT=callkit", "CALL_CLAIM=" + claim, "LOG_LEVEL=warn", "HTTP_ADDR=127.0.0.1:0",
				"AVATAR_ALLOW_PRIVATE=true", "AVATAR_ALLOW_HTTP=true",
			}
			c := contender{name: name + "-" + claim, args: []string{path, "run"}, env: env}
			all = append(all, c)
			c.name, c.avatar = c.name+"-avatar", picture
			all = append(all, c)
		}
	}
	if o.only == "" {
		return all
	}
	return slices.DeleteFunc(all, func(c contender) bool { return !slices.Contains(strings.Split(o.only, ","), c.name) })
}
