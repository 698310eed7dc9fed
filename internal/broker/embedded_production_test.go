//go:build production

package broker_test

import (
	"testing"

	"github.com/voip-push/worker/internal/broker"
)

func TestNoEmbedded(t *testing.T) {
	if broker.HasEmbedded {
		t.Error("the production build says that it has an embedded broker")
	}
	s, err := broker.StartEmbedded(&broker.Config{URL: broker.Embedded}, nil)
	if want := "NATS_URL: this build has no embedded broker; set it to a comma-separated list of nats://host:port"; s != nil || text(err) != want {
		t.Errorf("got %v, %v", s, err)
	}
	s.Stop()
	if o := s.Options(broker.Options{Name: "x"}); s.URL() != "" || o.Name != "x" {
		t.Errorf("got %q, %+v", s.URL(), o)
	}
}
