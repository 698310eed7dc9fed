package cli

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// ErrInterrupted ends what waited for somebody to type.
var ErrInterrupted = errors.New("interrupted")

// Stdin is the standard input of a command. A signal ends a read of it: of
// itself a read knows nothing of contexts, and waits for the next key.
func Stdin(cmd *cobra.Command) io.Reader { return stdin{cmd} }

type stdin struct{ cmd *cobra.Command }

type chunk struct {
	data []byte
	err  error
}

// Read leaves a read that is interrupted to end by itself, into memory of its
// own, as the process ends.
func (s stdin) Read(p []byte) (int, error) {
	read := make(chan chunk, 1)
	go func() {
		own := make([]byte, len(p))
		n, err := s.cmd.InOrStdin().Read(own)
		read <- chunk{own[:n], err}
	}()
	select {
	case c := <-read:
		return copy(p, c.data), c.err
	case <-s.cmd.Context().Done():
		return 0, ErrInterrupted
	}
}

// Unattended says that nobody types at standard input: it is a file, a pipe or
// nothing at all.
func Unattended(cmd *cobra.Command) bool {
	f, ok := cmd.InOrStdin().(*os.File)
	return ok && !term.IsTerminal(int(f.Fd()))
}
