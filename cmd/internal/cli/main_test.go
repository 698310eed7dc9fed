package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

const playCommand = "TEST_AS_COMMAND"

// TestMain lets the test binary be a command that hangs as it stops.
func TestMain(m *testing.M) {
	if os.Getenv(playCommand) == "" {
		os.Exit(m.Run())
	}
	os.Exit(Main(Root(&cobra.Command{Use: "tool", RunE: func(cmd *cobra.Command, _ []string) error {
		cmd.Println("running")
		<-cmd.Context().Done()
		cmd.Println("stopping")
		<-make(chan struct{})
		return nil
	}})))
}

// TestSecondSignal: the first signal asks, the second ends the process, also one
// that a shell script has started in the background, with SIGINT ignored.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"", `trap "" INT; `, `trap "" TERM; `, `trap "" INT TERM; `} {
		for _, pair := range [][2]syscall.Signal{{syscall.SIGINT, syscall.SIGINT}, {syscall.SIGINT, syscall.SIGTERM}, {syscall.SIGTERM, syscall.SIGINT}} {
			if how := ended(t, shell, pair); how != "signal: "+pair[1].String() && how != fmt.Sprintf("exit status %d", shellSaysSignal+int(pair[1])) {
				t.Errorf("%q, %v: %s", shell, pair, how)
			}
		}
	}
}

// ended is how a process ends that is sent two signals.
func ended(t *testing.T, shell string, pair [2]syscall.Signal) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // beyond what any machine needs
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-c", shell+`exec "$0"`, os.Args[0])
	c.Env = append(os.Environ(), playCommand+"=1")
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i, want := range []string{"running", "stopping"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("it says %q, want %q: %v", lines.Text(), want, lines.Err())
		}
		if err := c.Process.Signal(pair[i]); err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprint(c.Wait())
}
