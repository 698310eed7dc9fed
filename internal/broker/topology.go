package broker

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/voip-push/worker/internal/voip"
)

// Figures of the streams, as the contract states them.
const (
	pushMaxAge      = 30 * time.Minute
	pushDuplicates  = 15 * time.Minute
	pushMaxMessage  = 512 << 10
	resultMaxAge    = 24 * time.Hour
	resultDuplicate = 30 * time.Minute // as long as a push lives: ids stay askable
	dlqMaxAge       = 72 * time.Hour
	dlqDuplicates   = 30 * time.Minute
	cancelMaxAge    = 10 * time.Minute
	callsTTL        = 15 * time.Minute
	kvDuplicates    = 2 * time.Minute // as nats.go makes a bucket
	maxWaiting      = 4096            // cannot be changed later
)

// CallsStream is the stream behind the bucket of the calls' records, and
// CallsPrefix what its subjects begin with.
const (
	CallsStream = "KV_" + voip.BucketCalls
	CallsPrefix = "$KV." + voip.BucketCalls + "."
)

// Streams are the streams that the project stands on, the bucket's included.
func Streams(cfg *Config) []jetstream.StreamConfig {
	stream := func(name, subject string, age, duplicates time.Duration) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Subjects: []string{subject}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
			MaxAge: age, Duplicates: duplicates, Replicas: cfg.Replicas,
			MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1,
			Metadata: streamMonitor(cfg),
		}
	}
	push := stream(voip.StreamPush, voip.SubjectPush, pushMaxAge, pushDuplicates)
	push.Discard = jetstream.DiscardNew // a full stream says no to its gateways, and loses nothing
	push.MaxBytes, push.MaxMsgSize = cfg.PushMaxBytes, pushMaxMessage

	calls := stream(CallsStream, CallsPrefix+">", callsTTL, kvDuplicates)
	calls.MaxMsgsPerSubject = 1
	calls.Discard = jetstream.DiscardNew
	calls.AllowRollup, calls.DenyDelete = true, true
	calls.AllowDirect = false // a follower may answer a direct get late, and a claim with it

	return []jetstream.StreamConfig{
		push,
		stream(voip.StreamResult, voip.SubjectResult, resultMaxAge, resultDuplicate),
		stream(voip.StreamDLQ, voip.DLQPrefix+">", dlqMaxAge, dlqDuplicates),
		stream(voip.StreamCancel, voip.SubjectCancel, cancelMaxAge, cancelDuplicates),
		calls,
	}
}

const cancelDuplicates = 2 * time.Minute

// WorkersConsumer is the durable consumer that the fleet shares. It has no
// BackOff list (beside delayed naks such a list distorts both), and no end of
// deliveries: the worker itself tells a push that kills from an innocent one.
func WorkersConsumer(cfg *Config) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: voip.ConsumerWorkers, AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
		AckWait: cfg.AckWait, MaxDeliver: -1, MaxAckPending: cfg.MaxAckPending, MaxWaiting: maxWaiting,
		Metadata: consumerMonitor(cfg),
	}
}
