package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmjs "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/jetstream"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/nats-io/nats.go/jetstream"
)

// watermillWorker is the null worker's job as a watermill router has it: its
// subscriber on the same consumer, retries and a poison queue around the
// handler, its publisher for the results. A handler has one push at a time, and
// waits for its result's ack: -handlers are side by side.
func watermillWorker(args []string) error {
	flags := flag.NewFlagSet("watermill", flag.ExitOnError)
	handlers := flags.Int("handlers", 1, "handlers side by side")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	publisher, err := wmjs.NewPublisher(wmjs.PublisherConfig{
		URL: os.Getenv("NATS_URL"), Logger: watermill.NopLogger{},
		ConfigureStream: func(topic string) jetstream.StreamConfig { return jetstream.StreamConfig{Name: topic} },
	})
	if err != nil {
		return err
	}
	poison, err := middleware.PoisonQueue(publisher, "voip.dlq.REPORT_REJECTED._")
	if err != nil {
		return err
	}
	router.AddMiddleware(poison, middleware.Retry{MaxRetries: 3, InitialInterval: 100 * time.Millisecond}.Middleware)
	for range *handlers {
		subscriber, err := wmjs.NewSubscriber(wmjs.SubscriberConfig{
			URL: os.Getenv("NATS_URL"), Logger: watermill.NopLogger{}, AckAsync: true, Unmarshaler: numbered{}, ResourceInitializer: bound,
			ConsumeOptions: []jetstream.PullConsumeOpt{jetstream.PullMaxMessages(nullPrefetch / *handlers)},
		})
		if err != nil {
			return err
		}
		router.AddHandler(watermill.NewShortUUID(), "voip.push", subscriber, "voip.report.result", publisher, watermillResult)
	}
	return router.Run(ctx)
}

// bound is the fleet's own consumer.
func bound(ctx context.Context, js jetstream.JetStream, _ string) (jetstream.Consumer, func(context.Context, watermill.LoggerAdapter), error) {
	consumer, err := js.Consumer(ctx, "VOIP_PUSH", "voip-workers")
	return consumer, nil, err
}

// numbered keeps the push's sequence, which watermill's own unmarshaler drops.
type numbered struct{}

func (numbered) Unmarshal(msg jetstream.Msg) (*message.Message, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	m := message.NewMessage(watermill.NewUUID(), msg.Data())
	m.Metadata.Set("id", resultID(meta))
	return m, nil
}

func watermillResult(m *message.Message) ([]*message.Message, error) {
	body, err := json.Marshal(map[string]any{"callId": parse(m.Payload), "outcome": "reported", "reason": "ERROR_NONE"})
	if err != nil {
		return nil, err
	}
	result := message.NewMessage(watermill.NewUUID(), body)
	result.Metadata.Set("Nats-Msg-Id", m.Metadata.Get("id"))
	return []*message.Message{result}, nil
}
