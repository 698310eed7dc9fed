package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/voip-push/worker/internal/voip"
)

const resultFormat = "%-24s %s %-27s %8s  %-27s %10s\n"

// outcomeWidth is padded by hand: what colours a word has no width.
const outcomeWidth = 10

// ResultHeader prints what the columns of ResultLine are.
func ResultHeader(w io.Writer) {
	fmt.Fprintf(w, resultFormat, "CALL", fmt.Sprintf("%-*s", outcomeWidth, "OUTCOME"), "REASON", "ATTEMPTS", "AVATAR", "LATENCY")
}

// ResultLine prints a result as one line.
func ResultLine(w io.Writer, r *voip.Result) {
	fmt.Fprint(w, resultLine(r, coloured(w)))
}

func resultLine(r *voip.Result, colours bool) string {
	outcome := fmt.Sprintf("%-*s", outcomeWidth, r.Outcome)
	if colours {
		outcome = paint(r.Outcome, outcome)
	}
	return fmt.Sprintf(resultFormat, r.CallID, outcome, r.Reason, strconv.Itoa(r.AttemptsTotal), Avatar(r.Avatar), latency(r.LatencyMs))
}

// Avatar is an avatar's part of a result in a few words.
func Avatar(a *voip.AvatarResult) string {
	switch {
	case a == nil:
		return "-"
	case a.Reason != "":
		return string(a.Status) + " (" + string(a.Reason) + ")"
	case a.Source != nil && a.Source.OverLimit:
		return string(a.Status) + " (over limit)"
	default:
		return string(a.Status)
	}
}

func latency(ms float64) string { return strconv.FormatFloat(ms, 'f', 1, 64) + " ms" }
