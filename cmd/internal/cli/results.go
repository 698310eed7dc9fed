package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/voip-push/worker/internal/voip"
)

const resultFormat = "%-24s %-10s %-27s %8s  %-27s %10s\n"

// ResultHeader prints what the columns of ResultLine are.
func ResultHeader(w io.Writer) {
	fmt.Fprintf(w, resultFormat, "CALL", "OUTCOME", "REASON", "ATTEMPTS", "AVATAR", "LATENCY")
}

// ResultLine prints a result as one line.
func ResultLine(w io.Writer, r *voip.Result) {
	fmt.Fprintf(w, resultFormat, r.CallID, r.Outcome, r.Reason, strconv.Itoa(r.AttemptsTotal), Avatar(r.Avatar), latency(r.LatencyMs))
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
