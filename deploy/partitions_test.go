package deploy

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// TestPartitions: each call is one fleet's, whichever gateway sends it and how
// often; its cancel goes the same way; acks and results come back.
func TestPartitions(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, "nats/partitions.conf")
	fleets := []string{"worker-0", "worker-1"}
	for _, fleet := range fleets {
		r.run(fleet, "worker", "provision")
	}
	observer := r.connect("observer", "observer")
	results := make(chan *nats.Msg, 100)
	if _, err := observer.ChanSubscribe(voip.SubjectResult, results); err != nil {
		t.Fatal(err)
	}
	if err := observer.Flush(); err != nil {
		t.Fatal(err)
	}
	gateway, err := jetstream.New(r.connect("gateway", "gateway"))
	if err != nil {
		t.Fatal(err)
	}
	const calls = 40
	send := func(subject, id, body string) *jetstream.PubAck {
		ack, err := gateway.PublishMsg(t.Context(), &nats.Msg{
			Subject: subject + ".in." + voip.Token(id), Header: nats.Header{voip.HeaderMsgID: {id}}, Data: []byte(body),
		})
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		return ack
	}
	for i := range calls {
		id := fmt.Sprintf("call %d", i) // whose token is not the callId itself
		if i%4 == 0 {
			cancel, err := voip.EncodeCancel(id)
			if err != nil {
				t.Fatal(err)
			}
			send(voip.SubjectCancel, id, string(cancel))
		}
		body := fmt.Sprintf(`{"callId":%q,"data":{"userName":"Li Lei"}}`, id)
		if send(voip.SubjectPush, id, body).Duplicate || !send(voip.SubjectPush, id, body).Duplicate {
			t.Errorf("%s: the second push of a call must be a duplicate, and only that", id)
		}
	}
	for _, fleet := range fleets {
		r.start(fleet, "worker", "run", "REPORT_TRANSPORT=callkit").log.Wait(t, "consuming")
	}
	of := map[string]int{}
	for range calls {
		var result voip.Result
		if err := json.Unmarshal(testkit.Receive(t, "a result", results).Data, &result); err != nil {
			t.Fatal(err)
		}
		var i int
		if _, err := fmt.Sscanf(result.CallID, "call %d", &i); err != nil {
			t.Fatal(err)
		}
		want := voip.Reported
		if i%4 == 0 {
			want = voip.Cancelled
		}
		if result.Outcome != want {
			t.Errorf("%s: %s, want %s", result.CallID, result.Outcome, want)
		}
		of[result.Worker]++
	}
	if len(of) != len(fleets) {
		t.Errorf("results by worker: %v, want some of each fleet", of)
	}
	select {
	case m := <-results:
		t.Errorf("a result more: %s", m.Data)
	case <-time.After(0):
	}
}
