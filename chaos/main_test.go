package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// Flags of the test binary, and what TestMain made.
var (
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "what the faults are drawn from; it is printed at the end")
	long  = flag.Bool("long", false, "the long form: more calls, more faults, and the tests that take minutes")
	calls = flag.Int("calls", 50_000, "calls of TestLongRun")
	rate  = flag.Int("rate", 350, "calls a second of TestLongRun")

	bin string // the folder with the built commands
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		code = 1
	}
	os.Exit(code)
}

// run builds what the tests start, and runs them.
func run(m *testing.M) (code int, err error) {
	bin, err = os.MkdirTemp("", "voip-chaos-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	if err := build(); err != nil {
		return 1, err
	}
	code = m.Run()
	fmt.Fprintf(os.Stdout, "chaos: -seed %d\n", *seed)
	return code, nil
}

// build makes the real commands once. The workers look for races when the
// tests do.
func build() error {
	for _, args := range [][]string{
		{fmt.Sprintf("-race=%t", raced()), "./cmd/worker"},
		{"./cmd/voipctl", "github.com/nats-io/nats-server/v2"},
	} {
		// In the product's own module, with the versions that it pins.
		args = append([]string{"-C", "..", "build", "-o", bin + "/"}, args...)
		c := exec.CommandContext(context.Background(), "go", args...)
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// raced says whether this binary has the race detector.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

func command(name string) string { return filepath.Join(bin, name) }

// dice are the test's own: the same for the same -seed, whatever else runs.
func dice(t *testing.T) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, t.Name())
	return rand.New(rand.NewPCG(*seed, h.Sum64()))
}

// form is the short or the long of two figures.
func form[T any](brief, full T) T {
	if *long {
		return full
	}
	return brief
}
