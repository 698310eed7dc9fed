// Command bench drains the same backlog of pushes with the worker and with null
// workers, each a process of its own beside a real nats-server process, in turn
// and in several rounds, and prints how fast each was and how they compare.
//
// No figure of it is a threshold: machines differ, ratios of one run compare.
package main

import (
	"context"
	"errors"
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
	count, rounds int
	avatar        string
	only          string
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "null" {
		exit(nullWorker(os.Args[2:]))
	}
	var o options
	flag.IntVar(&o.count, "count", 50_000, "pushes of one drain")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each worker drains")
	flag.StringVar(&o.avatar, "avatar", "", "avatar URL of every push")
	flag.StringVar(&o.only, "only", "", "comma-separated names of the workers to run; empty: all")
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

// contender is one worker of the comparison.
type contender struct {
	name string
	args []string // of its process
	env  []string
}

func contenders(o options, bin *binaries) []contender {
	worker := func(name, claim string) contender {
		return contender{name, []string{bin.worker, "run"}, []string{
			"REPORT_TRANSPORT=callkit", "CALL_CLAIM=" + claim, "LOG_LEVEL=warn", "HTTP_ADDR=127.0.0.1:0",
		}}
	}
	all := []contender{
		{"null", []string{bin.self, "null"}, nil},
		{"null-goroutines", []string{bin.self, "null", "-goroutines"}, nil},
		{"null-claims", []string{bin.self, "null", "-goroutines", "-claim"}, nil},
		worker("worker-always", "always"),
		worker("worker-msgid", "msgid"),
	}
	if o.only == "" {
		return all
	}
	return slices.DeleteFunc(all, func(c contender) bool { return !slices.Contains(strings.Split(o.only, ","), c.name) })
}

func run(ctx context.Context, o options) error {
	bin, err := build(ctx)
	if err != nil {
		return err
	}
	defer bin.remove()
	all := contenders(o, bin)
	figures := map[string][]figure{}
	for round := range o.rounds {
		for _, c := range all {
			f, err := drain(ctx, bin, c, o)
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", c.name, round+1, err)
			}
			figures[c.name] = append(figures[c.name], f)
			fmt.Fprintf(os.Stderr, "round %d  %-16s %8.0f pushes/s  %5.1f MiB\n", round+1, c.name, f.rate, f.rss)
		}
	}
	return report(all, figures)
}

// report prints the medians, and each rate as a share of the first
// contender's of the same round.
func report(all []contender, figures map[string][]figure) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "worker\tpushes/s\tmin\tmax\tCPU s per 1,000\tpeak RSS MiB\tof "+all[0].name+"\tmin\tmax\t")
	for _, c := range all {
		var rates, cpus, sizes, ratios []float64
		for i, f := range figures[c.name] {
			rates, cpus, sizes = append(rates, f.rate), append(cpus, f.cpu), append(sizes, f.rss)
			ratios = append(ratios, f.rate/figures[all[0].name][i].rate)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.4f\t%.1f\t%.2f\t%.2f\t%.2f\t\n", c.name, median(rates), slices.Min(rates), slices.Max(rates),
			median(cpus), slices.Max(sizes), median(ratios), slices.Min(ratios), slices.Max(ratios))
	}
	return w.Flush()
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

var errTimeout = errors.New("not drained in time")

const drainLimit = 2 * time.Minute
