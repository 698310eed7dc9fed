// Command monitoring checks deploy/monitoring: that every expression of the
// rules and of the dashboard parses, names a metric and labels that a worker
// exposes or a rule records, and that every alert has a test in which it fires
// and a section in the runbook. With -write it writes the PrometheusRule from
// the rules again, which it checks otherwise.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the `folder` of the project")
	write := flag.Bool("write", false, "write the PrometheusRule again")
	flag.Parse()
	if err := run(*root, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run joins everything that is wrong.
func run(root string, write bool) error {
	at := func(name string) string { return filepath.Join(root, filepath.FromSlash(name)) }
	known, err := readPage(at("deploy/monitoring/metrics.prom"))
	if err != nil {
		return err
	}
	rules, err := readRules(at("deploy/monitoring/rules.yaml"))
	if err != nil {
		return err
	}
	for _, r := range rules {
		known.record(r.Record)
	}
	return errors.Join(
		checkRules(known, rules),
		checkTests(at("deploy/monitoring/rules_test.yaml"), rules),
		checkRunbook(at("docs/runbook.md"), rules),
		checkDashboard(known, at("deploy/monitoring/dashboard.json")),
		checkObject(at("deploy/monitoring/rules.yaml"), at("deploy/monitoring/prometheusrule.yaml"), write),
	)
}
