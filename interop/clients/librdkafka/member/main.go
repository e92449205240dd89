// Command member is confluent-kafka-go, which carries librdkafka, as a member of a group. How it is
// called and what it writes is in ../../groups/scenes.py and members.py.
//
//	member consume ASSIGNOR BOOTSTRAP TOPIC GROUP INSTANCE
//	member move    ASSIGNOR BOOTSTRAP TOPIC OUTPUT GROUP TRANSACTIONAL_ID
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
	"golang.org/x/sys/unix"
)

const none = "-"

// say writes one event with the time of the machine's monotonic clock.
func say(kind string, words ...any) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err)
	}
	line := strconv.AppendInt(nil, now.Nano(), 10)
	line = append(append(line, ' '), kind...)
	for _, w := range words {
		line = fmt.Append(append(line, ' '), w)
	}
	// One write is one line, whoever else writes.
	_, _ = os.Stdout.Write(append(line, '\n'))
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return v
}

func partitions(tps []kafka.TopicPartition) string {
	var out []string
	for _, tp := range tps {
		out = append(out, strconv.Itoa(int(tp.Partition)))
	}
	return strings.Join(out, ",")
}

// common is what every client here is configured with: it comes back soon to a broker that was gone.
func common(bootstrap string) kafka.ConfigMap {
	return kafka.ConfigMap{
		"bootstrap.servers": bootstrap, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 300,
		"log_level": 0, "metadata.recovery.strategy": "none",
	}
}

// join subscribes. onChange, if any, is called when what the member owns changes, which is within a
// Poll.
func join(assignor, bootstrap, topic, group, instance string, onChange func()) *kafka.Consumer {
	config := common(bootstrap)
	for k, v := range map[string]kafka.ConfigValue{
		"group.id": group, "enable.auto.commit": false, "auto.offset.reset": "earliest",
		"partition.assignment.strategy": assignor, "heartbeat.interval.ms": 300,
		"session.timeout.ms": 3000, "isolation.level": "read_committed",
	} {
		config[k] = v
	}
	if instance != none {
		// A static member has time to come back.
		config["group.instance.id"], config["session.timeout.ms"] = instance, 20000
	}
	c := must(kafka.NewConsumer(&config))
	told := func(_ *kafka.Consumer, ev kafka.Event) error {
		onChange()
		switch ev := ev.(type) {
		case kafka.AssignedPartitions:
			say("assigned", partitions(ev.Partitions))
		case kafka.RevokedPartitions:
			say("revoked", partitions(ev.Partitions))
		}
		return nil
	}
	must(0, c.Subscribe(topic, told))
	return c
}

// leaving is closed once standard input has ended.
func leaving() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(done)
	}()
	return done
}

// read hands on what is there: it waits for the first message only.
func read(c *kafka.Consumer, take func(*kafka.Message)) {
	waitMs := 100
	for range 200 {
		switch ev := c.Poll(waitMs).(type) {
		case *kafka.Message:
			take(ev)
			waitMs = 0
		case kafka.Error:
			say("note", ev)
		default:
			return
		}
	}
}

func consume(c *kafka.Consumer) {
	for done := leaving(); ; {
		select {
		case <-done:
			must(0, c.Close())
			return
		default:
		}
		count := 0
		read(c, func(m *kafka.Message) {
			count++
			say("record", m.TopicPartition.Partition, int64(m.TopicPartition.Offset), string(m.Value))
		})
		if count == 0 {
			continue
		}
		committed, err := c.Commit()
		if err != nil {
			say("note", err)
			continue
		}
		var acked []string
		for _, tp := range committed {
			if tp.Error == nil && tp.Offset >= 0 {
				acked = append(acked, fmt.Sprintf("%d=%d", tp.Partition, int64(tp.Offset)))
			}
		}
		if len(acked) > 0 {
			say("commit", strings.Join(acked, ","))
		}
	}
}

// mover copies in transactions, and aborts every fifth one to do it again.
type mover struct {
	c      *kafka.Consumer
	p      *kafka.Producer
	config kafka.ConfigMap
	output string
	count  int
	// fetched is what the next transaction copies. The assignors are eager: a rebalance takes all
	// partitions, and gives them back at what is committed.
	fetched []*kafka.Message
}

// patiently calls again while the error says that this may help.
func patiently(call func() error) error {
	for {
		err := call()
		var ke kafka.Error
		if err == nil || !errors.As(err, &ke) || !ke.IsRetriable() {
			return err
		}
		say("note", err)
	}
}

func (m *mover) connect() {
	if m.p != nil {
		m.p.Close()
	}
	m.p = must(kafka.NewProducer(&m.config))
	go func(p *kafka.Producer) {
		for ev := range p.Events() {
			if e, ok := ev.(kafka.Error); ok {
				say("note", e)
			}
		}
	}(m.p)
	must(0, patiently(func() error { return m.p.InitTransactions(context.Background()) }))
}

// rewind goes back to what is committed.
func (m *mover) rewind() {
	owned := must(m.c.Assignment())
	must(0, patiently(func() error {
		committed, err := m.c.Committed(owned, 10_000)
		for _, tp := range committed {
			tp.Offset = max(tp.Offset, 0)
			if err := m.c.Seek(tp, 0); err != nil {
				return err
			}
		}
		return err
	}))
}

func (m *mover) abort() error {
	return patiently(func() error { return m.p.AbortTransaction(context.Background()) })
}

// recover aborts where that is enough, and begins with a new producer where it is not.
func (m *mover) recover(why error) {
	var ke kafka.Error
	if !errors.As(why, &ke) || !ke.TxnRequiresAbort() || m.abort() != nil {
		m.connect()
	}
	m.rewind()
}

func (m *mover) move(messages []*kafka.Message) error {
	ctx := context.Background()
	if err := m.p.BeginTransaction(); err != nil {
		return err
	}
	for _, in := range messages {
		to := kafka.TopicPartition{Topic: &m.output, Partition: in.TopicPartition.Partition}
		out := &kafka.Message{TopicPartition: to, Key: in.Key, Value: in.Value}
		if err := m.p.Produce(out, nil); err != nil {
			return err
		}
	}
	if m.count++; m.count%5 == 0 {
		m.p.Flush(10_000)
		err := m.abort()
		m.rewind()
		return err
	}
	var positions []kafka.TopicPartition
	for _, tp := range must(m.c.Position(must(m.c.Assignment()))) {
		if tp.Offset >= 0 {
			positions = append(positions, tp)
		}
	}
	member := must(m.c.GetConsumerGroupMetadata())
	if err := patiently(func() error {
		return m.p.SendOffsetsToTransaction(ctx, positions, member)
	}); err != nil {
		return err
	}
	return patiently(func() error { return m.p.CommitTransaction(ctx) })
}

func (m *mover) run() {
	m.connect()
	for done := leaving(); ; {
		select {
		case <-done:
			must(0, m.c.Close())
			return
		default:
		}
		m.fetched = nil
		read(m.c, func(in *kafka.Message) { m.fetched = append(m.fetched, in) })
		if len(m.fetched) == 0 {
			continue
		}
		err := m.move(m.fetched)
		if err == nil {
			continue
		}
		say("note", err)
		m.recover(err)
	}
}

func main() {
	mode, assignor, bootstrap, topic, rest := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5:]
	if mode == "consume" {
		consume(join(assignor, bootstrap, topic, rest[0], rest[1], func() {}))
		return
	}
	config := common(bootstrap)
	config["transactional.id"], config["transaction.timeout.ms"] = rest[2], 10000
	m := &mover{config: config, output: rest[0]}
	m.c = join(assignor, bootstrap, topic, rest[1], none, func() { m.fetched = nil })
	m.run()
}
