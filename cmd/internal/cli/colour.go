package cli

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/voip-push/worker/internal/voip"
)

// coloured says whether colours may be printed: on a terminal that knows them,
// and never with NO_COLOR (no-color.org).
func coloured(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && wanted(os.Getenv)
}

func wanted(getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// paint colours a text as its outcome: green, red, yellow, grey.
func paint(o voip.Outcome, text string) string {
	var code string
	switch o {
	case voip.Reported:
		code = "32"
	case voip.Failed:
		code = "31"
	case voip.Expired:
		code = "33"
	case voip.Cancelled:
		code = "90"
	default:
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
