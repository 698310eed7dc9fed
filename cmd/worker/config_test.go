//go:build !production

package main

import (
	"bufio"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/testkit"
)

// contractDefaults is section 7 of the contract, written out: every variable
// and its default; of the standard OTEL_* those that are checked.
func contractDefaults() map[string]string {
	return map[string]string{
		"NATS_URL": "embedded", "NATS_CREDS_FILE": "", "NATS_USER": "", "NATS_PASSWORD_FILE": "", "NATS_TLS_CA_FILE": "",
		"NATS_TLS_CERT_FILE": "", "NATS_TLS_KEY_FILE": "", "NATS_PROVISION": "true", "NATS_REPLICAS": "1", "NATS_PUSH_MAX_BYTES": "1GiB",
		"NATS_MAX_ACK_PENDING": "16384", "NATS_EMBEDDED_ADDR": "127.0.0.1:4222", "NATS_EMBEDDED_DIR": "voip-data",
		"CONSUMER_MAX_IN_FLIGHT": "1024", "CONSUMER_ACK_WAIT": "5s", "CONSUMER_MAX_STARTS": "3", "CONSUMER_DRAIN_TIMEOUT": "20s",
		"CALL_TTL": "1m0s", "CALL_CLAIM": "always", "CALL_DEFAULT_USER_NAME": "Unknown", "CALL_ABILITY_NAME": "EntryAbility",
		"AVATAR_POLICY": "fit", "AVATAR_MAX_BYTES": "100KiB", "AVATAR_MAX_SOURCE_BYTES": "5MiB", "AVATAR_TIMEOUT": "1s", "AVATAR_DENSITY": "3.5",
		"AVATAR_RESOURCE_DIR": "", "AVATAR_DEFAULT": "", "AVATAR_ALLOWED_HOSTS": "", "AVATAR_ALLOW_PRIVATE": "false", "AVATAR_ALLOW_HTTP": "false",
		"AVATAR_CACHE_BYTES": "64MiB", "AVATAR_CACHE_TTL": "10m0s",
		"REPORT_TRANSPORT": "callkit", "REPORT_SUBJECT": "voip.callkit.report", "REPORT_URL": "", "REPORT_TOKEN_FILE": "", "REPORT_CA_FILE": "",
		"REPORT_TIMEOUT": "3s", "REPORT_CONCURRENCY": "256", "REPORT_MAX_ATTEMPTS": "5", "REPORT_BACKOFF_INITIAL": "250ms", "REPORT_BACKOFF_MAX": "5s",
		"CONNECT_SUBJECT": "", "HTTP_ADDR": "127.0.0.1:8080", "LOG_LEVEL": "info", "LOG_FORMAT": "text", "LOG_PRIVATE": "false",
		"OTEL_SDK_DISABLED": "false", "OTEL_SERVICE_NAME": "", "OTEL_RESOURCE_ATTRIBUTES": "", "OTEL_TRACES_EXPORTER": "otlp",
		"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_TRACES_SAMPLER_ARG": "1",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "",
		"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "",
		"OTEL_EXPORTER_OTLP_HEADERS": "", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "",
	}
}

func TestDefaultsAreTheContracts(t *testing.T) {
	cfg, warnings, err := configOf(t, nil)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("an empty environment: %v %q", err, warnings)
	}
	want := contractDefaults()
	for _, v := range settings.Variables(cfg) {
		value, known := want[v.Name]
		if !known {
			t.Errorf("%s is not in section 7 of the contract", v.Name)
		}
		if v.Value() != value {
			t.Errorf("%s is %q by default, want %q", v.Name, v.Value(), value)
		}
		delete(want, v.Name)
	}
	for name := range want {
		t.Errorf("%s of the contract is no setting", name)
	}
}

// With any other broker streams are bound, and the transport must be given.
func TestDefaultsWithARealBroker(t *testing.T) {
	cfg, _, err := configOf(t, map[string]string{"NATS_URL": "nats://127.0.0.1:4222", "REPORT_TRANSPORT": "nats"})
	if err != nil || cfg.provision() {
		t.Errorf("provision %t, %v; want false and no error", cfg.provision(), err)
	}
	_, _, err = configOf(t, map[string]string{"NATS_URL": "nats://127.0.0.1:4222"})
	if want := "REPORT_TRANSPORT: it must be given"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("without REPORT_TRANSPORT: %v, want %q", err, want)
	}
	_, warnings, err := configOf(t, map[string]string{"NATS_URL": "nats://127.0.0.1:4222", "REPORT_TRANSPORT": "callkit"})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "REPORT_TRANSPORT=callkit") {
		t.Errorf("callkit with a real broker: %v %q, want a warning", err, warnings)
	}
}

// Each fault is said once, all of them at once, by variable and with what is
// legal.
func TestEveryFaultAtOnce(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	faults := map[string]string{ // value → a part of what is said
		"NATS_URL=http://broker":             "want \"embedded\" or a comma-separated list of nats://host:port",
		"NATS_CREDS_FILE=" + missing:         "no such file",
		"NATS_TLS_CA_FILE=" + missing:        "no such file",
		"NATS_PROVISION=yes":                 "one of true, false",
		"NATS_REPLICAS=0":                    "1 to 5",
		"NATS_PUSH_MAX_BYTES=1GB":            "a size such as 102400 or 64MiB",
		"NATS_MAX_ACK_PENDING=many":          "a whole number",
		"CONSUMER_MAX_IN_FLIGHT=0":           "1 to 65536",
		"CONSUMER_ACK_WAIT=5":                "a duration such as 250ms or 1m",
		"CONSUMER_MAX_STARTS=-1":             "1 to 100",
		"CONSUMER_DRAIN_TIMEOUT=0s":          "1s to 10m",
		"CALL_TTL=301s":                      "1s to 300s",
		"CALL_CLAIM=never":                   "one of always, msgid",
		"CALL_ABILITY_NAME=":                 "a name",
		"AVATAR_POLICY=lax":                  "one of fit, strict",
		"AVATAR_MAX_BYTES=0":                 "at least 1",
		"AVATAR_MAX_SOURCE_BYTES=65MiB":      "1 to 64MiB",
		"AVATAR_TIMEOUT=soon":                "a duration",
		"AVATAR_DENSITY=NaN":                 "0.5 to 4",
		"AVATAR_RESOURCE_DIR=" + missing:     "a directory that can be read",
		"AVATAR_DEFAULT=face.png":            "resource:NAME",
		"AVATAR_ALLOWED_HOSTS=https://a.com": "host names",
		"AVATAR_ALLOW_PRIVATE=maybe":         "true or false",
		"AVATAR_CACHE_TTL=1ms":               "1s to 24h",
		"REPORT_TRANSPORT=smoke":             "one of callkit, nats, http",
		"REPORT_TIMEOUT=-1s":                 "10ms to 60s",
		"REPORT_CONCURRENCY=1e3":             "1 to 65536",
		"REPORT_MAX_ATTEMPTS=0":              "1 to 100",
		"REPORT_BACKOFF_INITIAL=0":           "1ms to 1m",
		"HTTP_ADDR=8080":                     "host:port or :port",
		"LOG_LEVEL=trace":                    "one of debug, info, warn, error",
		"LOG_FORMAT=xml":                     "one of text, json",
		"LOG_PRIVATE=2":                      "true or false",

		"OTEL_SDK_DISABLED=perhaps":                             "true or false",
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318":            "http://host:port",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=grpc://collector:1": "http://host:port",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc":                      "http/protobuf or http/json",
		"OTEL_EXPORTER_OTLP_HEADERS=a=b,authorization":          "entry 2 is not name=value",
		"OTEL_RESOURCE_ATTRIBUTES=team=%zz":                     "entry 1 is not name=value",
		"OTEL_TRACES_EXPORTER=zipkin":                           "one of otlp, none",
		"OTEL_TRACES_SAMPLER=sometimes":                         "one of always_on,",
		"OTEL_TRACES_SAMPLER_ARG=2":                             "0 to 1",
	}
	values := map[string]string{}
	for f := range faults {
		name, value, _ := strings.Cut(f, "=")
		values[name] = value
	}
	_, _, err := configOf(t, values)
	if err == nil {
		t.Fatal("no fault was found")
	}
	lines := strings.Split(err.Error(), "\n")
	for f, want := range faults {
		name, _, _ := strings.Cut(f, "=")
		var said []string
		for _, line := range lines {
			if variableOf(line) == name {
				said = append(said, line)
			}
		}
		if len(said) != 1 || !strings.Contains(said[0], want) {
			t.Errorf("%s: said %q, want one line with %q", f, said, want)
		}
	}
	if len(lines) != len(faults) {
		t.Errorf("%d lines for %d faults:\n%v", len(lines), len(faults), err)
	}
}

// What no single setting can say.
func TestFaultsBetweenSettings(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	for _, c := range []struct {
		values map[string]string
		want   string
	}{
		{map[string]string{"REPORT_BACKOFF_MAX": "100ms"}, "REPORT_BACKOFF_MAX: 100ms is less than REPORT_BACKOFF_INITIAL (250ms)"},
		{map[string]string{"REPORT_TRANSPORT": "http"}, "REPORT_URL: want http://… or https://…"},
		{map[string]string{"REPORT_TRANSPORT": "http", "REPORT_URL": "http://bridge", "REPORT_TOKEN_FILE": token}, "REPORT_TOKEN_FILE: report token: stat " + token},
		{map[string]string{"CONNECT_SUBJECT": "voip.push"}, `CONNECT_SUBJECT: "voip.push" is not legal: stream VOIP_PUSH stores what is sent there`},
		{map[string]string{"REPORT_TRANSPORT": "nats", "REPORT_SUBJECT": "voip.dlq.report"}, `REPORT_SUBJECT: "voip.dlq.report" is not legal: stream VOIP_DLQ stores`},
		{map[string]string{"NATS_USER": "worker"}, "NATS_USER and NATS_PASSWORD_FILE: set both or none"},
		{map[string]string{"NATS_TLS_CERT_FILE": "/dev/null"}, "NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE: set both or none"},
		{map[string]string{"AVATAR_DEFAULT": "resource:face.png"}, "AVATAR_DEFAULT"},
	} {
		_, _, err := configOf(t, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, want one line with %q", c.values, err, c.want)
		}
	}
}

func TestMisspeltVariablesAreWarned(t *testing.T) {
	_, warnings, err := configOf(t, map[string]string{
		"CONSUMER_MAX_INFLIGHT": "10", "AVATAR_MAX_BYTE": "10", "HTTP_ADDRESS": ":1", "NATS_SOMETHING_ELSE": "x",
		"REPORT_TOKEN": "secret", "NATS_PASSWORD": "secret",
		"HTTP_PROXY": "http://proxy", "OTEL_SERVICE_NAME": "worker", "OTEL_EXPORTER_OTLP_ENDPIONT": "x",
		"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x", "OTEL_BSP_SCHEDULE_DELAY": "1", "PATH": os.Getenv("PATH"),
	})
	want := []string{
		"AVATAR_MAX_BYTE is no setting, did you mean AVATAR_MAX_BYTES?",
		"CONSUMER_MAX_INFLIGHT is no setting, did you mean CONSUMER_MAX_IN_FLIGHT?",
		"HTTP_ADDRESS is no setting, did you mean HTTP_ADDR?",
		"NATS_PASSWORD is no setting, did you mean NATS_PASSWORD_FILE?",
		"NATS_SOMETHING_ELSE is no setting",
		"OTEL_EXPORTER_OTLP_ENDPIONT is no setting, did you mean OTEL_EXPORTER_OTLP_ENDPOINT?",
		"REPORT_TOKEN is no setting, did you mean REPORT_TOKEN_FILE?",
	}
	if err != nil || !slices.Equal(warnings, want) {
		t.Errorf("%v\n got %q\nwant %q", err, warnings, want)
	}
}

// docs/configuration.md is written by this test: `go generate ./cmd/worker`.
func TestConfigurationPage(t *testing.T) {
	var c config
	testkit.Golden(t, "../../../docs/configuration.md", []byte(configurationPage(settings.Variables(&c))))
}

// The manifests' settings are read by the real loader, without a warning.
func TestDeployedSettings(t *testing.T) {
	const base = "../../deploy/k8s/base/worker.env"
	over, err := filepath.Glob("../../deploy/k8s/*/*/worker.env")
	if err != nil || len(over) < 3 {
		t.Fatalf("%q, %v; want those of dev, production and nats", over, err)
	}
	for _, file := range append(over, base) {
		values := map[string]string{}
		for _, env := range []map[string]string{readEnv(t, base), readEnv(t, file)} {
			for k, v := range env {
				values[k] = mounted(t, k, v)
			}
		}
		if _, warnings, err := configOf(t, values); err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v %q", file, err, warnings)
		}
	}
}

// mounted puts a file of the test's in the place of one that a pod has.
func mounted(t *testing.T, name, value string) string {
	t.Helper()
	if !strings.HasSuffix(name, "_FILE") {
		return value
	}
	path := filepath.Join(t.TempDir(), filepath.Base(value))
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readEnv(t *testing.T, path string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for scanner := bufio.NewScanner(strings.NewReader(string(b))); scanner.Scan(); {
		if name, value, ok := strings.Cut(scanner.Text(), "="); ok && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	if len(values) == 0 {
		t.Fatalf("%s holds no setting", path)
	}
	return values
}
