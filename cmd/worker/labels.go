package main

import (
	"slices"

	"github.com/voip-push/worker/internal/avatar"
	"github.com/voip-push/worker/internal/consumer"
	"github.com/voip-push/worker/internal/telemetry"
	"github.com/voip-push/worker/internal/voip"
)

// labels are all label values that can occur, so that each metric is there at
// zero from the start.
func labels() telemetry.Labels {
	l := telemetry.Labels{Stages: consumer.Stages(), AvatarCache: cacheResults()}
	for _, r := range voip.Rules() {
		l.Pushes = append(l.Pushes, telemetry.PushLabel{Outcome: string(r.Outcome), Reason: string(r.Reason)})
		if !slices.Contains(l.Outcomes, string(r.Outcome)) {
			l.Outcomes = append(l.Outcomes, string(r.Outcome))
		}
		if r.Attempt {
			l.Attempts = append(l.Attempts, string(r.Reason))
		}
		if r.Class != "" {
			l.DeadLetters = append(l.DeadLetters, string(r.Reason))
		}
	}
	l.Avatars = []telemetry.AvatarLabel{{Status: string(voip.AvatarOK)}, {Status: string(voip.AvatarNone)}}
	for _, reason := range voip.AvatarReasons() {
		l.Avatars = append(l.Avatars, telemetry.AvatarLabel{Status: string(voip.AvatarFallback), Reason: string(reason)})
	}
	return l
}

// cacheResults are the values of voip_avatar_cache_total's label.
func cacheResults() []string { return avatar.CacheResults() }
