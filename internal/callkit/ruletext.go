package callkit

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// String is the fault as ParseFault reads it.
func (f *Fault) String() string {
	var words []string
	add := func(name, value string) { words = append(words, name+"="+value) }
	switch f.Effect {
	case Delay:
	case AnswerWith:
		if f.Code != voip.CodeOK {
			add("code", strconv.Itoa(int(f.Code)))
		} else {
			add("reason", strconv.Itoa(int(f.ErrorReason)))
		}
	case TurnAway:
		add("status", strconv.Itoa(cmp.Or(f.Status, defaultStatus)))
	case LoseAnswer, Reset, NobodyThere:
		words = append(words, map[Effect]string{LoseAnswer: "lost", Reset: "reset", NobodyThere: "away"}[f.Effect])
	}
	for _, v := range []struct {
		name string
		d    time.Duration
	}{{"retry-after", f.RetryAfter}, {"after", f.After}, {"for", f.For}} {
		if v.d > 0 {
			add(v.name, v.d.String())
		}
	}
	if f.Latency.P50 > 0 {
		latency := f.Latency.P50.String()
		if f.Latency.P99 > 0 {
			latency += ".." + f.Latency.P99.String()
		}
		add("latency", latency)
	}
	if f.Share > 0 {
		add("share", strconv.FormatFloat(f.Share, 'g', -1, 64))
	}
	if f.CallID != "" {
		add("call", f.CallID)
	}
	if f.DeviceID != "" {
		add("device", f.DeviceID)
	}
	if f.Attempts > 0 {
		add("attempts", strconv.Itoa(f.Attempts))
	}
	return strings.Join(words, " ")
}
