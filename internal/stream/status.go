package stream

import (
	"errors"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
)

// Statuses of the server in a message without a body.
const (
	statusHeartbeat    = "100"
	statusNoMessages   = "404"
	statusTimeout      = "408"
	statusConflict     = "409"
	statusNoResponders = "503"
)

// account follows what of the pulls is still out. mu is held.
func (p *Puller) account(status string, h nats.Header) {
	switch status {
	case "":
		p.ahead = max(0, p.ahead-1)
	case statusHeartbeat:
	case statusNoMessages, statusTimeout:
		p.ahead = max(0, p.ahead-pendingOf(h))
	case statusNoResponders:
		p.ahead, p.fault = 0, errors.New("nobody answers for the consumer (503): it or its stream is gone, or has no leader")
	case statusConflict:
		p.ahead = max(0, p.ahead-pendingOf(h))
		if description := h.Get(descHdr); !harmless(description) {
			p.ahead, p.fault = 0, errors.New("the consumer ended a pull: "+description)
		}
	default:
		p.Log.Warn("a pull was answered with an unknown status", "status", status, "description", h.Get(descHdr))
	}
}

// harmless conflicts end one pull; others end the consumer, or move it.
func harmless(description string) bool {
	d := strings.ToLower(description)
	return strings.Contains(d, "batch completed") || strings.Contains(d, "maxbytes") || strings.Contains(d, "maxwaiting")
}

// pendingOf is how many messages of a pull that has ended will not come. The pull
// for one that does not wait is refused (404 No Messages, 408 Requests Pending)
// without saying so.
func pendingOf(h nats.Header) int {
	n, err := strconv.Atoi(h.Get(pendingHdr))
	if err != nil {
		return 1
	}
	return n
}
