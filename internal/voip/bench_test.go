package voip_test

import (
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

// BenchmarkOpenPush is what is read of a push before its call is claimed.
func BenchmarkOpenPush(b *testing.B) {
	body := []byte(`{"callId":"c-1","data":{"userName":"Li Lei","scene":"voice","ttlSeconds":300}}`)
	b.ReportAllocs()
	for b.Loop() {
		voip.OpenPush(body)
	}
}

// BenchmarkDecodePush is all that is read of a push.
func BenchmarkDecodePush(b *testing.B) {
	body := []byte(`{"callId":"c-1","data":{"userName":"Li Lei","scene":"voice","ttlSeconds":300}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := voip.DecodePush(body, defaults); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppendResult is the result of a call that was reported at once,
// written where the one before was.
func BenchmarkAppendResult(b *testing.B) {
	r := voip.Result{CallID: "c-1", Avatar: &voip.AvatarResult{Status: voip.AvatarNone}, Worker: "host/instance", Push: voip.PushRef{Stream: voip.StreamPush}}
	none := voip.ErrorNone
	r.SetProgress(voip.Progress{Total: 1, Attempts: []voip.Attempt{voip.NewAttempt(time.Now(), time.Millisecond, voip.ReasonNone, &voip.Answer{ErrorReason: &none})}})
	r.Decide(nil)
	r.Complete(time.Now())
	var body []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if body, err = r.AppendJSON(body[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
