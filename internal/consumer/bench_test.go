package consumer

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/report"
	"github.com/voip-push/worker/internal/voip"
)

// BenchmarkHandle is the pipeline of a push without an avatar: decode, stages,
// one attempt against the in-process Call Kit.
func BenchmarkHandle(b *testing.B) {
	log := slog.New(slog.DiscardHandler)
	stage, err := report.New(report.Config{
		Timeout: 3 * time.Second, Concurrency: 256, MaxAttempts: 5, BackoffInitial: 250 * time.Millisecond, BackoffMax: 5 * time.Second,
	}, callkit.New(callkit.Options{}), noMetrics{}, log)
	if err != nil {
		b.Fatal(err)
	}
	h := &Handler{
		Defaults: voip.Defaults{UserName: "Unknown", AbilityName: "EntryAbility", Density: 3.5, TTL: time.Minute},
		Avatars:  pictures(noPicture), Reporter: stage, Recorder: noMetrics{}, Log: log,
	}
	body := []byte(`{"callId":"c-1","data":{"userName":"Li Lei","scene":"voice","ttlSeconds":300}}`)
	b.ReportAllocs()
	for b.Loop() {
		in := &Input{Envelope: voip.OpenPush(body), Header: nats.Header{}, Stored: time.Now()}
		if v := h.Handle(b.Context(), in, freeTurn{}); v.Err == nil {
			continue // a live duplicate is refused: both are one attempt
		}
	}
}
