package callkit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// ParseFault reads a fault as people write it: what goes wrong, and for whom,
// separated by spaces or commas.
//
//	reason=2  reason=VOIP_CALL_EXISTS    this ErrorReason
//	code=1007200003                      this code
//	status=503 [retry-after=2s]          the bridge answers with this status
//	lost                                 the call is accepted, its answer is lost
//	reset                                the connection breaks
//	away                                 nobody is there
//	latency=20ms  latency=20ms..300ms    median, and 99th percentile; alone, or with one of the others
//
//	share=0.1  share=10%                 of the calls, always the same ones
//	call=c-*   device=d1                 a pattern of callIds; a device
//	attempts=2                           the first two attempts of each call
//	after=10s  for=30s                   from when on, and how long
func ParseFault(text string) (Fault, error) {
	var p ruleParser
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' }) {
		name, value, _ := strings.Cut(word, "=")
		if err := p.word(name, value); err != nil {
			return Fault{}, fmt.Errorf("%q in rule %q: %w", word, strings.TrimSpace(text), err)
		}
	}
	switch {
	case len(p.effects) > 1:
		return Fault{}, fmt.Errorf("rule %q has %s, want one of them", text, strings.Join(p.effects, " and "))
	case len(p.effects) == 0 && p.Latency == Latency{}:
		return Fault{}, fmt.Errorf("rule %q does not say what goes wrong, want one of reason=, code=, status=, lost, reset, away or latency=", text)
	case p.RetryAfter > 0 && p.Effect != TurnAway:
		return Fault{}, fmt.Errorf("rule %q has retry-after= without status=", text)
	}
	return p.Fault, nil
}

type ruleParser struct {
	Fault

	effects []string
}

func (p *ruleParser) word(name, value string) (err error) {
	switch name {
	case "reason", "code", "status", "lost", "reset", "away":
		p.effects = append(p.effects, name)
		return p.effect(name, value)
	case "latency":
		p.Latency, err = parseLatency(value)
	case "share":
		p.Share, err = parseShare(value)
	case "call":
		p.CallID = value
	case "device":
		p.DeviceID = value
	case "attempts":
		if p.Attempts, err = strconv.Atoi(value); err != nil || p.Attempts < 1 {
			err = errors.New("want a whole number from 1 on")
		}
	case "after":
		p.After, err = parseTime(value)
	case "for":
		p.For, err = parseTime(value)
	case "retry-after":
		p.RetryAfter, err = parseTime(value)
	default:
		err = errors.New("not known, want one of reason=, code=, status=, lost, reset, away, latency=, and any of share=, call=, device=, attempts=, after=, for=, retry-after=")
	}
	return err
}

func (p *ruleParser) effect(name, value string) (err error) {
	switch name {
	case "reason":
		p.Effect = AnswerWith
		p.ErrorReason, err = parseReason(value)
	case "code":
		n, bad := strconv.Atoi(value)
		if p.Effect, p.Code = AnswerWith, voip.Code(n); bad != nil || n == 0 {
			return errors.New("want a code such as 1007200003, other than 0")
		}
	case "status":
		p.Effect = TurnAway
		if p.Status, err = strconv.Atoi(value); err != nil || p.Status < 300 || p.Status > 599 {
			return errors.New("want an HTTP status from 300 to 599")
		}
	default:
		p.Effect = map[string]Effect{"lost": LoseAnswer, "reset": Reset, "away": NobodyThere}[name]
		if value != "" {
			return errors.New("want no value")
		}
	}
	return err
}

// parseReason takes a number, be it one that nobody knows, or a documented name.
func parseReason(s string) (voip.ErrorReason, error) {
	if n, err := strconv.Atoi(s); err == nil {
		return voip.ErrorReason(n), nil
	}
	all := []voip.ErrorReason{voip.ErrorNone, voip.CellularCallExists, voip.VoipCallExists, voip.InvalidCall, voip.UserAnswerCellularFirst}
	names := make([]string, len(all))
	for i, r := range all {
		names[i] = r.String()
	}
	if i := slices.Index(names, s); i >= 0 {
		return all[i], nil
	}
	return 0, errors.New("want a number or one of " + strings.Join(names, ", "))
}

func parseLatency(s string) (l Latency, err error) {
	median, p99, spread := strings.Cut(s, "..")
	if l.P50, err = parseTime(median); err == nil && spread {
		l.P99, err = parseTime(p99)
	}
	if err != nil || spread && l.P99 < l.P50 {
		return Latency{}, errors.New("want a duration such as 20ms, or the median and a larger 99th percentile, 20ms..300ms")
	}
	return l, nil
}

func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	f, err := strconv.ParseFloat(number, 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f > 0 && f <= 1) { // NaN is neither
		return 0, errors.New("want more than 0 and up to 1, or up to 100%")
	}
	return f, nil
}

func parseTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, errors.New("want a duration such as 30s")
	}
	return d, nil
}
