package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// newWorker gives connection n each stream whose number is n modulo the number of connections.
func newWorker(o *options, c *counters, conn *nats.Conn, n int) (*worker, error) {
	w := &worker{o: o, c: c, free: make(chan struct{}, o.inFlight)}
	for s := n; s < o.streams; s += o.connections {
		w.streams = append(w.streams, fmt.Sprintf("bench-%d", s))
	}
	var err error
	w.js, err = jetstream.New(conn,
		// The bound of the worker is reached first; this one would answer with an error.
		jetstream.WithPublishAsyncMaxPending(2*o.inFlight),
		jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, m *nats.Msg, _ *jetstream.PubAck) {
			w.c.add(len(m.Data))
			<-w.free
		}),
		jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, _ *nats.Msg, err error) {
			w.c.fail(err)
			<-w.free
		}))
	return w, err
}

// createStreams makes the worker's streams anew.
func (w *worker) createStreams(ctx context.Context) error {
	for _, name := range w.streams {
		if err := w.js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("delete stream %s: %w", name, err)
		}
		_, err := w.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{name}, Storage: jetstream.FileStorage, Replicas: 1,
		})
		if err != nil {
			return fmt.Errorf("create stream %s: %w", name, err)
		}
	}
	return nil
}

// work publishes or consumes until ctx ends or something fails.
func (w *worker) work(ctx context.Context) error {
	if w.o.mode == "publish" {
		return w.publish(ctx)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(w.streams))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for n, name := range w.streams {
		wg.Go(func() {
			if errs[n] = w.consume(ctx, name); errs[n] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// publish sends to the worker's streams in turn.
func (w *worker) publish(ctx context.Context) error {
	payload := make([]byte, w.o.recordBytes)
	source := rand.NewChaCha8([32]byte{1})
	_, _ = source.Read(payload) // it never fails
	for n := 0; ; n++ {
		select {
		case w.free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		if _, err := w.js.PublishAsync(w.streams[n%len(w.streams)], payload); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
}

// consume reads a stream from its start, again and again.
func (w *worker) consume(ctx context.Context, name string) error {
	for ctx.Err() == nil {
		if err := w.readOnce(ctx, name); err != nil && ctx.Err() == nil {
			return fmt.Errorf("consume %s: %w", name, err)
		}
	}
	return nil
}

// readOnce reads a stream from its start to its end.
func (w *worker) readOnce(ctx context.Context, name string) error {
	consumer, err := w.js.CreateConsumer(ctx, name, jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy,
	})
	if err != nil {
		return err
	}
	info := consumer.CachedInfo()
	if info.NumPending == 0 {
		return errors.New("the stream is empty: publish first")
	}
	// Without a consumer left behind for each turn.
	defer func() {
		_ = w.js.DeleteConsumer(context.WithoutCancel(ctx), name, info.Name)
	}()
	messages, err := consumer.Messages(jetstream.PullMaxMessages(w.o.batch))
	if err != nil {
		return err
	}
	defer messages.Stop()
	last := uint64(0)
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if s := meta.Sequence.Stream; s != last+1 {
			return fmt.Errorf("sequence %d follows %d", s, last)
		}
		last++
		w.c.add(len(m.Data()))
		if meta.NumPending == 0 {
			return nil
		}
	}
}
