package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	nullSlots    = 512
	nullPrefetch = 512
)

// nullWorker does the least that a worker could: parse the push, publish its
// result with a message id, ack the push on the result's ack. With -goroutines
// each message has its own; with -claim it creates the call's record first.
func nullWorker(args []string) error {
	flags := flag.NewFlagSet("null", flag.ExitOnError)
	goroutines := flags.Bool("goroutines", false, "a goroutine for each message")
	claim := flags.Bool("claim", false, "create the call's record first")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(8192))
	if err != nil {
		return err
	}
	consumer, err := js.Consumer(ctx, "VOIP_PUSH", "voip-workers")
	if err != nil {
		return err
	}
	n := &null{js: js, claim: *claim, slots: make(chan struct{}, nullSlots), settled: make(chan settlement, 8192)}
	go n.ack()
	handle := n.pipelined
	if *goroutines {
		handle = n.concurrent
	}
	consuming, err := consumer.Consume(handle, jetstream.PullMaxMessages(nullPrefetch))
	if err != nil {
		return err
	}
	<-ctx.Done()
	consuming.Stop()
	return nil
}

type settlement struct {
	msg    jetstream.Msg
	future jetstream.PubAckFuture
}

type null struct {
	js      jetstream.JetStream
	claim   bool
	slots   chan struct{}
	settled chan settlement
	wg      sync.WaitGroup
}

// pipelined publishes and goes on; ack follows behind in order.
func (n *null) pipelined(msg jetstream.Msg) {
	if future := n.publish(msg); future != nil {
		n.settled <- settlement{msg, future}
	}
}

func (n *null) ack() {
	for s := range n.settled {
		<-s.future.Ok()
		_ = s.msg.Ack()
	}
}

func (n *null) concurrent(msg jetstream.Msg) {
	n.slots <- struct{}{}
	n.wg.Go(func() {
		defer func() { <-n.slots }()
		if n.claim {
			id := parse(msg.Data())
			record, err := n.js.PublishMsgAsync(&nats.Msg{Subject: "$KV.VOIP_CALLS." + id, Data: []byte(`{"sequence":1}`)},
				jetstream.WithExpectLastSequencePerSubject(0))
			if err != nil {
				return
			}
			select {
			case <-record.Ok():
			case err := <-record.Err():
				fmt.Fprintln(os.Stderr, "a claim failed:", err)
				return
			}
		}
		if future := n.publish(msg); future != nil {
			<-future.Ok()
			_ = msg.Ack()
		}
	})
}

func (n *null) publish(msg jetstream.Msg) jetstream.PubAckFuture {
	meta, err := msg.Metadata()
	if err != nil {
		return nil
	}
	body, err := json.Marshal(map[string]any{"callId": parse(msg.Data()), "outcome": "reported", "reason": "ERROR_NONE"})
	if err != nil {
		return nil
	}
	future, err := n.js.PublishMsgAsync(&nats.Msg{Subject: "voip.report.result", Data: body, Header: nats.Header{
		"Nats-Msg-Id": {resultID(meta)},
	}})
	if err != nil {
		return nil
	}
	return future
}

func parse(body []byte) string {
	var push struct {
		CallID string          `json:"callId"`
		Data   json.RawMessage `json:"data"`
	}
	if json.Unmarshal(body, &push) != nil {
		return ""
	}
	return push.CallID
}

func resultID(push *jetstream.MsgMetadata) string {
	return "res:VOIP_PUSH:" + strconv.FormatUint(push.Sequence.Stream, 10)
}
