//go:build !production

package main

import (
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/voip-push/worker/cmd/internal/settings"
)

// The test binary plays the worker for the tests that start processes.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"worker": main})
}

// setEnvironment makes these settings the whole of the worker's environment,
// until the next call or the end of the test.
func setEnvironment(t *testing.T, values map[string]string) {
	t.Helper()
	groups := map[string]bool{}
	for _, v := range settings.Variables(&config{}) {
		group, _, _ := strings.Cut(v.Name, "_")
		groups[group] = true
	}
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if group, _, _ := strings.Cut(name, "_"); groups[group] {
			t.Setenv(name, value) // restores it
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, value := range values {
		t.Setenv(name, value)
	}
}

// configOf is the configuration that an environment of these settings makes.
func configOf(t *testing.T, values map[string]string) (*config, []string, error) {
	t.Helper()
	setEnvironment(t, values)
	return loadConfig()
}
