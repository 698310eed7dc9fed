package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const project = "../.."

func TestProject(t *testing.T) {
	if err := run(project, false); err != nil {
		t.Error(err)
	}
}

// Each fault is found, by what it breaks.
func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct{ file, old, with, want string }{
		"a metric that does not exist in a rule": {
			"deploy/monitoring/rules.yaml", "absent(voip_build_info)", "absent(voip_built_info)", "no worker exposes voip_built_info",
		},
		"a label value that no worker exposes": {
			"deploy/monitoring/rules.yaml", `reason="CRASH_LOOP"`, `reason="CRASHLOOP"`, `no worker exposes voip_dead_letters_total{reason="CRASHLOOP"}`,
		},
		"a label that no series has": {
			"deploy/monitoring/rules.yaml", "by (namespace, condition)", "by (namespace, conditions)", "no series has a label conditions",
		},
		"a recorded name that is not recorded": {
			"deploy/monitoring/rules.yaml", "record: voip:expired:share5m", "record: voip:expired:share", "no worker exposes voip:expired:share5m",
		},
		"an expression that does not parse": {
			"deploy/monitoring/rules.yaml", "absent(voip_build_info)", "absent(voip_build_info", "rule VoipNoWorkers: 1:23: parse error",
		},
		"an alert that no test makes fire": {
			"deploy/monitoring/rules_test.yaml", "alertname: VoipCircuitOpen\n", "alertname: VoipNoWorkers\n", "no test in which VoipCircuitOpen fires",
		},
		"an alert without a section": {
			"docs/runbook.md", "### VoipCircuitOpen", "### Circuit open", `no section "VoipCircuitOpen"`,
		},
		"a link to another section": {
			"deploy/monitoring/rules.yaml", "#voipcircuitopen", "#voipqueuestuck", "alert VoipCircuitOpen: runbook_url",
		},
		"a metric that does not exist in a panel": {
			"deploy/monitoring/dashboard.json", "voip_duplicates_total", "voip_duplicate_total", `panel "Again, twice, nameless": no worker exposes voip_duplicate_total`,
		},
		"a panel that does not parse": {
			"deploy/monitoring/dashboard.json", "sum(voip_report_circuit_open", "sums(voip_report_circuit_open", `panel "Circuit open": 1:1: parse error: unknown function`,
		},
		"a variable of a metric that does not exist": {
			"deploy/monitoring/dashboard.json", "\"query\": \"label_values(voip_build_info", "\"query\": \"label_values(voip_built_info", "variable namespace: no worker exposes voip_built_info",
		},
		"rules that were not written into their object": {
			"deploy/monitoring/rules.yaml", "for: 1m", "for: 2m", "prometheusrule.yaml differs from",
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := clone(t)
			path := filepath.Join(root, tt.file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(b), tt.old) {
				t.Fatalf("%s does not hold %q", tt.file, tt.old)
			}
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(b), tt.old, tt.with)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run(root, false); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// clone copies what is checked.
func clone(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "deploy/monitoring"), os.DirFS(project+"/deploy/monitoring")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(project + "/docs/runbook.md")
	if err == nil {
		err = os.MkdirAll(filepath.Join(root, "docs"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "docs/runbook.md"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return root
}
