package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/voip-push/worker/cmd/internal/cli"
)

// TestCompletion: each shell gets a script that knows the command, and values
// are offered where there are few.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args, want, not string
	}{
		{args: "completion bash", want: "__start_voipctl"},
		{args: "completion zsh", want: "#compdef voipctl"},
		{args: "completion fish", want: "complete -c voipctl"},
		{args: "__complete dlq r", want: "redrive\tSend dead letters again as pushes\n:4", not: "purge"},
		{args: "__complete dlq show f", want: ":4"}, // no files
		{args: "__complete watch --outcome e", want: "expired\ncancelled\n:4"},
		{args: "__complete watch --reason C", want: "CANCELLED\n"},
		{args: "__complete dlq redrive --reason C", want: "CRASH_LOOP\n", not: "CANCELLED"},
	} {
		root := newRoot()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&bytes.Buffer{})
		root.SetArgs(strings.Fields(tt.args))
		code := cli.Execute(t.Context(), root)
		if got := strings.TrimSpace(out.String()); code != cli.Done || !strings.Contains(got, tt.want) || tt.not != "" && strings.Contains(got, tt.not) {
			t.Errorf("%s: exit %d, want %q and not %q: %s", tt.args, code, tt.want, tt.not, got)
		}
	}
}
