package broker

import (
	"time"

	"github.com/nats-io/nats.go"
)

// NewPublisherWithin is NewPublisher with another time to wait for an ack.
func NewPublisherWithin(nc *nats.Conn, timeout time.Duration) (*Publisher, error) {
	return newPublisher(nc, timeout)
}
