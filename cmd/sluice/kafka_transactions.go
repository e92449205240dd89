package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/kopt"
)

// txnCommands are the sub-commands of kafka-transactions and what each must and may have.
var txnCommands = map[string]struct{ required, optional []string }{
	"list":                      {nil, []string{"duration-filter", "transactional-id-pattern"}},
	"describe":                  {[]string{"transactional-id"}, nil},
	"describe-producers":        {[]string{"topic", "partition"}, []string{"broker-id"}},
	"find-hanging":              {nil, []string{"broker-id", "max-transaction-timeout", "topic", "partition"}},
	"forceTerminateTransaction": {[]string{"transactionalId"}, nil},
	"abort": {[]string{"topic", "partition"}, []string{
		"start-offset", "producer-id", "producer-epoch", "coordinator-epoch",
	}},
}

func (a *app) kafkaTransactions() kafkaTool {
	value := func(name, arg, help string) kopt.Option {
		return kopt.Option{Name: name, Kind: kopt.Value, Arg: arg, Help: help}
	}
	return kafkaTool{
		name:  "kafka-transactions",
		about: "List, describe and abort transactions, and find those that hang",
		example: "  kafka-transactions --bootstrap-server 127.0.0.1:9092 list\n" +
			"  kafka-transactions --bootstrap-server 127.0.0.1:9092 describe --transactional-id pay-1\n" +
			"  kafka-transactions --bootstrap-server 127.0.0.1:9092 describe-producers --topic t --partition 0\n" +
			"  kafka-transactions --bootstrap-server 127.0.0.1:9092 find-hanging --topic t\n" +
			"  kafka-transactions --bootstrap-server 127.0.0.1:9092 abort --topic t --partition 0 --start-offset 7\n" +
			"  kafka-transactions --bootstrap-server 127.0.0.1:9092 forceTerminateTransaction --transactionalId pay-1",
		words: true,
		options: withConnection(
			value("transactional-id", "id", "describe: the transactional id."),
			value("transactionalId", "id", "forceTerminateTransaction: the transactional id."),
			value("duration-filter", "ms", "list: only transactions that have been open for longer."),
			value("transactional-id-pattern", "regex", "list: only ids that match."),
			value("topic", "topic", "describe-producers, find-hanging, abort: the topic."),
			value("partition", "n", "describe-producers, find-hanging, abort: the partition."),
			value("broker-id", "id", "describe-producers, find-hanging: the broker to ask."),
			value("max-transaction-timeout", "min",
				"find-hanging: how long transactions may take, in minutes; 15 if not given."),
			value("start-offset", "offset", "abort: the transaction's first offset."),
			value("producer-id", "id", "abort: the producer, if not by --start-offset."),
			value("producer-epoch", "epoch", "abort: its epoch."),
			value("coordinator-epoch", "epoch", "abort: the epoch of its coordinator."),
		),
		run: a.runTransactions,
	}
}

// txnCommand is one run of kafka-transactions.
type txnCommand struct {
	app     *app
	ctx     context.Context
	adm     *kadm.Client
	cl      *kgo.Client
	line    *kopt.Line
	numbers map[string]int64
}

// txnNumbers are the options of kafka-transactions that are numbers, their size in bits and what they
// are if they are not given.
var txnNumbers = map[string]struct {
	bits      int
	otherwise int64
}{
	"duration-filter": {64, -1}, "partition": {32, -1}, "broker-id": {32, -1}, "start-offset": {64, -1},
	"max-transaction-timeout": {32, 15}, "producer-id": {64, -1}, "producer-epoch": {16, -1},
	"coordinator-epoch": {32, -1},
}

func (a *app) runTransactions(ctx context.Context, line *kopt.Line) error {
	if len(line.Rest) == 0 {
		return kopt.Errorf("too few arguments")
	}
	known, ok := txnCommands[line.Rest[0]]
	if !ok || len(line.Rest) > 1 {
		return kopt.Errorf("invalid choice: '%s' (choose from 'list', 'describe', 'describe-producers', "+
			"'abort', 'find-hanging', 'forceTerminateTransaction')", line.Rest[len(line.Rest)-1])
	}
	for _, name := range known.required {
		if !line.Has(name) {
			return kopt.Errorf("argument --%s is required", name)
		}
	}
	for _, other := range txnCommands {
		for _, name := range slices.Concat(other.required, other.optional) {
			own := slices.Contains(known.required, name) || slices.Contains(known.optional, name)
			if line.Has(name) && !own {
				return kopt.Errorf("unrecognized arguments: '--%s'", name)
			}
		}
	}
	c := &txnCommand{app: a, line: line, numbers: map[string]int64{}}
	for name, n := range txnNumbers {
		var err error
		if c.numbers[name], err = line.Int(name, n.bits, n.otherwise); err != nil {
			return err
		}
	}
	run := map[string]func(*txnCommand) error{
		"list": (*txnCommand).list, "describe": (*txnCommand).describe,
		"describe-producers": (*txnCommand).producers, "abort": (*txnCommand).abort,
		"find-hanging": (*txnCommand).findHanging, "forceTerminateTransaction": (*txnCommand).terminate,
	}[line.Rest[0]]
	if err := c.check(); err != nil {
		return err
	}
	s, err := a.kafkaSettings(line)
	if err != nil {
		return err
	}
	return a.admin(ctx, s, nil, func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
		c.ctx, c.adm, c.cl = ctx, adm, cl
		return run(c)
	})
}

// check holds the rules that concern more than one option.
func (c *txnCommand) check() error {
	switch c.line.Rest[0] {
	case "find-hanging":
		if !c.line.Has("topic") && !c.line.Has("broker-id") {
			return says("The `find-hanging` command requires either --topic or --broker-id to limit the scope " +
				"of the search")
		}
		if c.line.Has("partition") && !c.line.Has("topic") {
			return says("The --partition argument requires --topic")
		}
	case "abort":
		if c.line.Has("start-offset") {
			return nil
		}
		if !c.line.Has("producer-id") {
			return says("The transaction to abort must be identified either with --start-offset (for brokers on " +
				"3.0 or above) or with --producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)")
		}
		for _, name := range []string{"producer-epoch", "coordinator-epoch"} {
			if !c.line.Has(name) {
				return says("Missing required argument --%s", name)
			}
		}
	}
	return nil
}

// table prints rows as Kafka's tools do: each cell is padded to its column's width, and a tab follows.
func (c *txnCommand) table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			fmt.Fprintf(&b, "%-*s\t", widths[i], cell)
		}
		fmt.Fprintln(c.app.out, b.String())
	}
}

func (c *txnCommand) list() error {
	q := txnQuery{longerMs: c.numbers["duration-filter"], pattern: c.line.Get("transactional-id-pattern")}
	txns, err := listTxns(c.ctx, c.cl, q)
	if err != nil {
		return says("Failed to list transactions: %v", err)
	}
	rows := [][]string{{"TransactionalId", "Coordinator", "ProducerId", "TransactionState"}}
	for _, t := range txns {
		rows = append(rows, []string{
			t.ID, strconv.Itoa(int(t.Coordinator)), strconv.FormatInt(t.ProducerID, 10), t.State,
		})
	}
	c.table(rows)
	return nil
}

func (c *txnCommand) describe() error {
	id := c.line.Get("transactional-id")
	t, err := describeTxn(c.ctx, c.adm, id)
	if errors.Is(err, kerr.TransactionalIDNotFound) {
		err = fmt.Errorf("DescribeTransactions request for transactionalId `%s` failed because the ID could not "+
			"be found", id)
	}
	if err != nil {
		return says("Failed to describe transaction state of transactional-id `%s`: %v", id, err)
	}
	start, duration := "None", "None"
	if t.StartMs != nil {
		start = strconv.FormatInt(*t.StartMs, 10)
		duration = strconv.FormatInt(time.Now().UnixMilli()-*t.StartMs, 10)
	}
	var parts []string
	for _, p := range t.Partitions {
		parts = append(parts, p.String())
	}
	c.table([][]string{{
		"CoordinatorId", "TransactionalId", "ProducerId", "ProducerEpoch", "TransactionState",
		"TransactionTimeoutMs", "CurrentTransactionStartTimeMs", "TransactionDurationMs", "TopicPartitions",
	}, {
		strconv.Itoa(int(t.Coordinator)), t.ID, strconv.FormatInt(t.ProducerID, 10),
		strconv.Itoa(int(t.ProducerEpoch)), t.State, strconv.Itoa(int(t.TimeoutMs)), start, duration,
		strings.Join(parts, ","),
	}})
	return nil
}

// place is the partition that the command is about.
func (c *txnCommand) place() topicPartition {
	return topicPartition{c.line.Get("topic"), int32(c.numbers["partition"])}
}

func (c *txnCommand) producers() error {
	set, place := kadm.TopicsSet{}, c.place()
	set.Add(place.Topic, place.Partition)
	described, err := c.adm.DescribeProducers(c.ctx, set)
	var parts []kadm.DescribedProducersPartition
	if err == nil {
		parts = described.SortedPartitions()
	}
	for _, p := range parts {
		if p.Err != nil {
			err = p.Err
		}
	}
	if err != nil {
		return says("Failed to describe producers for partition %v on leader: %s", place, javaText(err))
	}
	rows := [][]string{{
		"ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence", "LastTimestamp",
		"CurrentTransactionStartOffset",
	}}
	for _, p := range parts {
		for _, d := range p.ActiveProducers.Sorted() {
			start := "None"
			if d.CurrentTxnStartOffset >= 0 {
				start = strconv.FormatInt(d.CurrentTxnStartOffset, 10)
			}
			rows = append(rows, []string{
				strconv.FormatInt(d.ProducerID, 10), strconv.Itoa(int(d.ProducerEpoch)),
				strconv.Itoa(int(d.CoordinatorEpoch)), strconv.Itoa(int(d.LastSequence)),
				strconv.FormatInt(d.LastTimestamp, 10), start,
			})
		}
	}
	c.table(rows)
	return nil
}

func (c *txnCommand) findHanging() error {
	scope := hangingScope{topic: c.line.Get("topic"), broker: int32(c.numbers["broker-id"])}
	if c.line.Has("partition") {
		scope.partitions = []int32{int32(c.numbers["partition"])}
	}
	now := time.Now()
	// Kafka's tool allows for five minutes of what brokers do beyond the longest timeout.
	limit := time.Duration(c.numbers["max-transaction-timeout"]+5) * time.Minute
	open, err := openTxns(c.ctx, c.adm, scope, now.Add(-limit))
	if err == nil {
		open, err = hanging(c.ctx, c.adm, c.cl, open)
	}
	if err != nil {
		return says("Failed to find hanging transactions: %s", javaText(err))
	}
	rows := [][]string{{
		"Topic", "Partition", "ProducerId", "ProducerEpoch", "CoordinatorEpoch", "StartOffset",
		"LastTimestamp", "Duration(min)",
	}}
	for _, t := range open {
		rows = append(rows, []string{
			t.Topic, strconv.Itoa(int(t.Partition)), strconv.FormatInt(t.ProducerID, 10),
			strconv.Itoa(int(t.ProducerEpoch)), strconv.Itoa(int(t.CoordinatorEpoch)),
			strconv.FormatInt(t.StartOffset, 10), strconv.FormatInt(t.LastMs, 10),
			strconv.FormatInt(int64(now.Sub(time.UnixMilli(t.LastMs))/time.Minute), 10),
		})
	}
	c.table(rows)
	return nil
}

func (c *txnCommand) abort() error {
	place := c.place()
	producer, epoch := c.numbers["producer-id"], int16(c.numbers["producer-epoch"])
	coordinator := int32(c.numbers["coordinator-epoch"])
	if c.line.Has("start-offset") {
		t, err := openTxnAt(c.ctx, c.adm, place, c.numbers["start-offset"])
		switch {
		case errors.Is(err, errNoOpenTxn):
			return says("Could not find any open transactions starting at offset %d on partition %v",
				c.numbers["start-offset"], place)
		case err != nil:
			return says("Failed to find producer state for partition %v: %s", place, javaText(err))
		}
		producer, epoch, coordinator = t.ProducerID, t.ProducerEpoch, t.CoordinatorEpoch
	}
	// A partition in which this producer has never ended a transaction knows no coordinator's epoch.
	if err := abortAt(c.ctx, c.adm, place, producer, epoch, max(coordinator, 0)); err != nil {
		return says("Failed to abort transaction of producer %d on partition %v: %s", producer, place,
			javaText(err))
	}
	return nil
}

func (c *txnCommand) terminate() error {
	id := c.line.Get("transactionalId")
	if err := fenceTxn(c.ctx, c.adm, c.cl, id); err != nil {
		return says("Failed to force terminate transactionalId `%s`: %v", id, txnError(id, err))
	}
	return nil
}
