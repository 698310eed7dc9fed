package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// rule is what matters here of a rule; promtool checks the rest.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Annotations map[string]string `yaml:"annotations"`
}

func (r *rule) name() string { return r.Record + r.Alert }

func readRules(path string) ([]rule, error) {
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := readYAML(path, &file); err != nil {
		return nil, err
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}

func readYAML(path string, into any) error {
	b, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func checkRules(known *metrics, rules []rule) error {
	var errs []error
	for _, r := range rules {
		errs = append(errs, known.check("rule "+r.name(), r.Expr))
	}
	return errors.Join(errs...)
}

// checkTests wants a test for each alert in which it fires, and one in which it
// does not.
func checkTests(path string, rules []rule) error {
	var file struct {
		Tests []struct {
			Alerts []struct {
				Name   string      `yaml:"alertname"`
				Expect []yaml.Node `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	if err := readYAML(path, &file); err != nil {
		return err
	}
	fires := map[string]bool{}
	for _, t := range file.Tests {
		for _, a := range t.Alerts {
			fires[a.Name] = fires[a.Name] || len(a.Expect) > 0
		}
	}
	var errs []error
	for _, r := range rules {
		if r.Alert != "" && !fires[r.Alert] {
			errs = append(errs, fmt.Errorf("%s: no test in which %s fires", path, r.Alert))
		}
	}
	return errors.Join(errs...)
}

// checkRunbook wants a section of each alert's name, and a link that leads to it.
func checkRunbook(path string, rules []rule) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range rules {
		if r.Alert == "" {
			continue
		}
		if !bytes.Contains(b, []byte("\n### "+r.Alert+"\n")) {
			errs = append(errs, fmt.Errorf("%s: no section %q", path, r.Alert))
		}
		if link := r.Annotations["runbook_url"]; !strings.HasSuffix(link, "/docs/runbook.md#"+strings.ToLower(r.Alert)) {
			errs = append(errs, fmt.Errorf("alert %s: runbook_url %q does not lead to its section", r.Alert, link))
		}
	}
	return errors.Join(errs...)
}

const objectHead = `# Written by ` + "`make docs`" + ` from rules.yaml. Edit that.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: voip-push
  labels:
    app.kubernetes.io/name: voip-worker
spec:
`

// checkObject holds the PrometheusRule against the rules that it wraps.
func checkObject(rules, object string, write bool) error {
	b, err := os.ReadFile(rules)
	if err != nil {
		return err
	}
	var want strings.Builder
	want.WriteString(objectHead)
	_, groups, _ := strings.Cut(string(b), "\ngroups:")
	for line := range strings.Lines("groups:" + groups) {
		if strings.TrimSpace(line) != "" {
			want.WriteString("  ")
		}
		want.WriteString(line)
	}
	if write {
		return os.WriteFile(object, []byte(want.String()), 0o644)
	}
	have, err := os.ReadFile(object)
	if err == nil && string(have) != want.String() {
		err = fmt.Errorf("%s differs from %s: write it with `make docs`", object, rules)
	}
	return err
}
