package arch

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestPlanted is the test of the test: each breach is planted in a small module, and must be named by file and line.
func TestPlanted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		file   string
		source string
		want   string // empty: nothing is to be found
	}{
		{
			name: "a stage sees another", file: "internal/avatar/a.go",
			source: `package avatar; import _ "github.com/voip-push/worker/internal/report"`,
			want:   "internal/avatar/a.go:1: imports github.com/voip-push/worker/internal/report: internal/avatar may not see it",
		},
		{
			name: "a stage sees voip", file: "internal/avatar/a.go",
			source: `package avatar; import _ "github.com/voip-push/worker/internal/voip"`,
		},
		{
			name: "voip sees a package of ours", file: "internal/voip/a.go",
			source: `package voip; import _ "github.com/voip-push/worker/internal/telemetry"`,
			want:   "internal/voip/a.go:1: imports github.com/voip-push/worker/internal/telemetry: internal/voip may not see it",
		},
		{
			name: "voip sees a library", file: "internal/voip/a.go",
			source: `package voip; import _ "golang.org/x/sync/errgroup"`,
			want:   "internal/voip/a.go:1: imports golang.org/x/sync/errgroup: internal/voip sees the standard library alone",
		},
		{
			name: "voip sees the standard library", file: "internal/voip/a.go",
			source: `package voip; import _ "encoding/json"`,
		},
		{
			name: "a wrong import stays one behind a build tag", file: "internal/consumer/a.go",
			source: "//go:build production\n\npackage consumer\n\nimport _ \"github.com/voip-push/worker/internal/broker\"\n",
			want:   "internal/consumer/a.go:5: imports github.com/voip-push/worker/internal/broker: internal/consumer may not see it",
		},
		{
			name: "publisher sees the Call Kit model", file: "cmd/publisher/a.go",
			source: `package main; import _ "github.com/voip-push/worker/internal/callkit"`,
			want:   "cmd/publisher/a.go:1: imports github.com/voip-push/worker/internal/callkit: cmd/publisher may not see it",
		},
		{
			name: "internal sees cmd", file: "internal/broker/a.go",
			source: `package broker; import _ "github.com/voip-push/worker/cmd/worker"`,
			want:   "internal/broker/a.go:1: imports github.com/voip-push/worker/cmd/worker: internal/broker may not see it",
		},
		{
			name: "a package without a row", file: "internal/util/a.go",
			source: `package util`,
			want:   "internal/util/a.go: package internal/util has no row in mayImport",
		},
		{
			name: "a test brings stages together", file: "internal/consumer/a_test.go",
			source: `package consumer; import _ "github.com/voip-push/worker/internal/report"`,
		},
		{
			name: "a test sees testkit", file: "internal/consumer/a_test.go",
			source: `package consumer; import _ "github.com/voip-push/worker/internal/testkit"`,
		},
		{
			name: "the product sees testkit", file: "internal/broker/a.go",
			source: `package broker; import _ "github.com/voip-push/worker/internal/testkit"`,
			want:   "internal/broker/a.go:1: imports github.com/voip-push/worker/internal/testkit: only tests may",
		},
		{
			name: "a command sees clitest", file: "cmd/voipctl/a.go",
			source: `package main; import _ "github.com/voip-push/worker/cmd/internal/clitest"`,
			want:   "cmd/voipctl/a.go:1: imports github.com/voip-push/worker/cmd/internal/clitest: only tests may",
		},
		{
			name: "testkit sees clitest", file: "internal/testkit/a.go",
			source: `package testkit; import _ "github.com/voip-push/worker/cmd/internal/clitest"`,
			want:   "internal/testkit/a.go:1: imports github.com/voip-push/worker/cmd/internal/clitest: internal/testkit may not see it",
		},
		{
			name: "the product sees a test library", file: "cmd/voipctl/a.go",
			source: `package main; import _ "github.com/rogpeppe/go-internal/txtar"`,
			want:   "cmd/voipctl/a.go:1: imports github.com/rogpeppe/go-internal/txtar: a library for tests",
		},
		{
			name: "testkit sees a test library", file: "internal/testkit/a.go",
			source: `package testkit; import _ "github.com/rogpeppe/go-internal/txtar"`,
		},
		{
			name: "the broker's server in every build", file: "internal/broker/a.go",
			source: `package broker; import _ "github.com/nats-io/nats-server/v2/server"`,
			want:   "internal/broker/a.go:1: imports github.com/nats-io/nats-server/v2/server: the production build holds no broker",
		},
		{
			name: "the broker's server behind the tag", file: "internal/broker/a.go",
			source: "//go:build linux && !production\n\npackage broker\n\nimport _ \"github.com/nats-io/nats-server/v2/server\"\n",
		},
		{
			name: "the Call Kit model in the production worker", file: "cmd/worker/a.go",
			source: `package main; import _ "github.com/voip-push/worker/internal/callkit"`,
			want:   "cmd/worker/a.go:1: imports github.com/voip-push/worker/internal/callkit: the production worker holds no Call Kit model",
		},
		{
			name: "the Call Kit model behind the tag", file: "cmd/worker/a.go",
			source: "//go:build !production\n\npackage main\n\nimport _ \"github.com/voip-push/worker/internal/callkit\"\n",
		},
		{
			name: "the Call Kit model in voipctl", file: "cmd/voipctl/a.go",
			source: `package main; import _ "github.com/voip-push/worker/internal/callkit"`,
		},
		{
			name: "the environment in a package", file: "internal/report/a.go",
			source: `package report; import "os"; var a = os.Getenv("A")`,
			want:   "internal/report/a.go:1: os.Getenv: the environment is read in cmd/ alone",
		},
		{
			name: "the environment under another name", file: "internal/report/a.go",
			source: `package report; import sys "os"; var a, b = sys.LookupEnv("A")`,
			want:   "internal/report/a.go:1: os.LookupEnv: the environment is read in cmd/ alone",
		},
		{
			name: "the environment through a dot import", file: "internal/report/a.go",
			source: `package report; import . "os"; var a = Getenv("A")`,
			want:   "internal/report/a.go:1: dot import of os hides what is called",
		},
		{
			name: "the environment through envconfig", file: "internal/broker/a.go",
			source: `package broker; import "github.com/kelseyhightower/envconfig"; var a = envconfig.Process("", nil)`,
			want:   "internal/broker/a.go:1: envconfig.Process: the environment is read in cmd/ alone",
		},
		{
			name: "the environment in a command", file: "cmd/worker/a.go",
			source: `package main; import "os"; var a = os.Getenv("A")`,
		},
		{
			name: "the environment handed on by a test", file: "internal/broker/a_test.go",
			source: `package broker; import "os"; var a = os.Environ()`,
		},
		{
			name: "the default logger in a command", file: "cmd/worker/a.go",
			source: `package main; import "log/slog"; func a() { slog.Info("a") }`,
			want:   "cmd/worker/a.go:1: slog.Info: the default logger redacts nothing: a logger is passed down",
		},
		{
			name: "the default logger in a test", file: "cmd/worker/a_test.go",
			source: `package main; import "log/slog"; var a = slog.Default()`,
			want:   "cmd/worker/a_test.go:1: slog.Default: the default logger redacts nothing: a logger is passed down",
		},
		{
			name: "a logger that was passed down", file: "internal/consumer/a.go",
			source: `package consumer; import "log/slog"; func a(l *slog.Logger) { l.Info("a") }`,
		},
		{
			name: "a sleep in a test", file: "internal/consumer/a_test.go",
			source: `package consumer; import "time"; func a() { time.Sleep(1) }`,
			want: "internal/consumer/a_test.go:1: time.Sleep: " +
				"it hears no context, and makes a test slow or flaky: wait for the event, or use a synctest bubble",
		},
		{
			name: "a sleep in virtual time", file: "internal/consumer/a_test.go",
			source: `package consumer; import ("testing/synctest"; "time"); func a() { time.Sleep(1); synctest.Wait() }`,
		},
		{
			name: "another module", file: "bench/a.go",
			source: `package bench; import "os"; var a = os.Getenv("A")`,
		},
		{
			name: "test data", file: "internal/avatar/testdata/a.go",
			source: `this is not Go`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files, err := readModule(fstest.MapFS{
				"go.mod":       {Data: []byte("module " + modulePath + "\n")},
				"bench/go.mod": {Data: []byte("module " + modulePath + "/bench\n")},
				tt.file:        {Data: []byte(tt.source)},
			})
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if got := violations(files); !slices.Equal(got, want) {
				t.Errorf("got:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), tt.want)
			}
		})
	}
}

// TestUnreadable is for a tree that cannot be judged: passing over it would be a silent pass.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"no Go":                  "this is not Go",
		"a bad build constraint": "//go:build !\n\npackage voip\n",
	} {
		if _, err := readModule(fstest.MapFS{"internal/voip/a.go": {Data: []byte(source)}}); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}
