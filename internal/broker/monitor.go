package broker

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Where the stock `nats server check stream`, `nats audit` and whatever else is
// built on jsm.go find their thresholds when they are given none.
const (
	monitorPrefix     = "io.nats.monitor."
	monitorEnabled    = monitorPrefix + "enabled"
	monitorPeers      = monitorPrefix + "peer-expect"
	monitorAckPending = monitorPrefix + "outstanding-ack-critical"
	monitorPending    = monitorPrefix + "unprocessed-critical"
	monitorWaiting    = monitorPrefix + "waiting-critical"
	monitorRedelivery = monitorPrefix + "redelivery-critical"
)

// redeliveryCritical is about what one worker holds (CONSUMER_MAX_IN_FLIGHT):
// its sudden end is worth a look, a push or two that came again are not.
const redeliveryCritical = 1000

// consumerMonitor are the consumer's thresholds. Times since the last delivery
// or ack are not among them: no calls in a quiet hour is no fault.
func consumerMonitor(cfg *Config) map[string]string {
	return map[string]string{
		monitorEnabled: "true",
		// From here on a fresh call waits for an old one to end.
		monitorAckPending: nineTenths(cfg.MaxAckPending),
		// As many wait as the whole fleet may hold.
		monitorPending: strconv.Itoa(cfg.MaxAckPending),
		// Further pulls are soon refused.
		monitorWaiting:    nineTenths(maxWaiting),
		monitorRedelivery: strconv.Itoa(redeliveryCritical),
	}
}

func nineTenths(n int) string { return strconv.Itoa(max(1, n*9/10)) }

// streamMonitor are a stream's. One replica has no peers to count.
func streamMonitor(cfg *Config) map[string]string {
	m := map[string]string{monitorEnabled: "true"}
	if cfg.Replicas > 1 {
		m[monitorPeers] = strconv.Itoa(cfg.Replicas)
	}
	return m
}

func monitorKeys() []string {
	return []string{monitorEnabled, monitorPeers, monitorAckPending, monitorPending, monitorWaiting, monitorRedelivery}
}

// thresholds are the project's keys of some metadata, for a comparison; what
// else is there is the server's or the operator's.
func thresholds(metadata map[string]string) []string {
	var set []string
	for _, key := range monitorKeys() {
		if v, ok := metadata[key]; ok {
			set = append(set, strings.TrimPrefix(key, monitorPrefix)+" "+v)
		}
	}
	return set
}

// withThresholds is have with the project's keys as want has them.
func withThresholds(have, want map[string]string) map[string]string {
	mended := maps.Clone(have)
	maps.DeleteFunc(mended, func(key, _ string) bool { return slices.Contains(monitorKeys(), key) })
	if mended == nil {
		mended = map[string]string{}
	}
	maps.Copy(mended, want)
	return mended
}
