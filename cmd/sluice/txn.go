package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (a *app) txnCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "txn",
		Short: "List and describe transactions, find and abort those that hang",
		Example: "  sluice txn list --state Ongoing\n" +
			"  sluice txn describe payments-1\n" +
			"  sluice txn find-hanging --topic orders",
		Args: cobra.ArbitraryArgs,
	}
	c.AddCommand(a.txnListCmd(), a.txnDescribeCmd(), a.txnFindHangingCmd(), a.txnAbortCmd())
	return a.group(c)
}

func (a *app) txnListCmd() *cobra.Command {
	var q txnQuery
	var longer time.Duration
	c := &cobra.Command{
		Use:   "list [REGEX]",
		Short: "List transactional ids and the state of their transactions",
		Example: "  sluice txn list\n" +
			"  sluice txn list 'payments-.*' --state Ongoing --longer-than 5m -o json",
		Args: cobra.MaximumNArgs(1),
	}
	f := c.Flags()
	f.StringSliceVar(&q.states, "state", nil, "only these states, `S,S`: Ongoing, PrepareCommit …")
	f.Int64SliceVar(&q.producers, "producer-id", nil, "only these producer ids, `N,N`")
	for _, name := range []string{"state", "producer-id"} {
		f.Lookup(name).DefValue = "" // Or the help would show an empty Go slice.
	}
	f.DurationVar(&longer, "longer-than", 0, "only transactions that have been open for longer")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, args []string) error {
		match, err := wholeMatch(append(args, "")[0])
		if err != nil {
			return err
		}
		q.longerMs = -1
		if longer > 0 {
			q.longerMs = longer.Milliseconds()
			if len(q.states) == 0 { // A broker counts from the start of those that have ended, too.
				q.states = []string{"Ongoing", "PrepareCommit", "PrepareAbort"}
			}
		}
		return a.ask(c, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
			all, err := listTxns(ctx, cl, q)
			if err != nil {
				return err
			}
			found := all[:0]
			for _, t := range all {
				if match(t.ID) {
					found = append(found, t)
				}
			}
			return a.printTxns(found)
		})
	}
	return c
}

func (a *app) printTxns(txns []listedTxn) error {
	if a.json() {
		return a.printJSON(txns)
	}
	rows := [][]string{{"TRANSACTIONAL ID", "STATE", "PRODUCER", "COORDINATOR"}}
	for _, t := range txns {
		rows = append(rows, []string{
			t.ID, t.State, strconv.FormatInt(t.ProducerID, 10), strconv.Itoa(int(t.Coordinator)),
		})
	}
	return table(a.out, rows)
}

func (a *app) txnDescribeCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "describe ID…",
		Short: "Show the transactions of transactional ids",
		Example: "  sluice txn describe payments-1\n" +
			"  sluice txn describe payments-1 payments-2 -o json",
		Args: cobra.MinimumNArgs(1),
	}
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, ids []string) error {
		return a.ask(c, func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
			txns := []txnInfo{}
			for _, id := range ids {
				t, err := describeTxn(ctx, adm, id)
				if err != nil {
					return txnError(id, err)
				}
				txns = append(txns, *t)
			}
			if a.json() {
				return a.printJSON(txns)
			}
			for _, t := range txns {
				a.printTxn(t)
			}
			return nil
		})
	}
	return c
}

func (a *app) printTxn(t txnInfo) {
	fmt.Fprintf(a.out, "transactional id %s  state %s  producer %d epoch %d  coordinator %d  timeout %v\n",
		t.ID, a.stateColour(t.State), t.ProducerID, t.ProducerEpoch, t.Coordinator,
		time.Duration(t.TimeoutMs)*time.Millisecond)
	if t.StartMs == nil {
		return
	}
	start := time.UnixMilli(*t.StartMs)
	fmt.Fprintf(a.out, "  since %s (%v)  partitions %s\n", start.UTC().Format(time.RFC3339),
		time.Since(start).Round(time.Second), partitionText(t.Partitions, " "))
}

func (a *app) txnFindHangingCmd() *cobra.Command {
	scope := hangingScope{broker: -1}
	var atLeast time.Duration
	c := &cobra.Command{
		Use:   "find-hanging",
		Short: "Find open transactions that no coordinator knows of",
		Long: "Find-hanging looks for transactions that a partition holds open and that their coordinator does\n" +
			"not know, or knows to be over (KIP-664). Committed readers of the partition wait for such a one\n" +
			"for ever. Only what has been open for longer than any transaction may be is looked at.\n" +
			"It exits with 0 whether it finds any or not.",
		Example: "  sluice txn find-hanging\n" +
			"  sluice txn find-hanging --topic orders --partition 3 -o json",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVarP(&scope.topic, "topic", "t", "", "only partitions of this topic")
	f.Int32SliceVarP(&scope.partitions, "partition", "p", nil, "only these partitions, `N,N`")
	f.Lookup("partition").DefValue = ""
	f.Int32Var(&scope.broker, "broker", -1, "only partitions led by this broker")
	f.Lookup("broker").DefValue = ""
	f.DurationVar(&atLeast, "open-for", 20*time.Minute,
		"how long it must have been silent: transaction.max.timeout.ms, and some more")
	a.addOutput(c, true)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(scope.partitions) > 0 && scope.topic == "" {
			return usagef("--partition needs --topic")
		}
		return a.ask(c, func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
			open, err := openTxns(ctx, adm, scope, time.Now().Add(-atLeast))
			if err == nil {
				open, err = hanging(ctx, adm, cl, open)
			}
			if err != nil {
				return err
			}
			return a.printHanging(open)
		})
	}
	return c
}

func (a *app) printHanging(open []openTxn) error {
	if a.json() {
		if open == nil {
			open = []openTxn{}
		}
		return a.printJSON(open)
	}
	rows := [][]string{{"TOPIC", "PARTITION", "PRODUCER", "EPOCH", "START OFFSET", "LAST RECORD"}}
	for _, t := range open {
		rows = append(rows, []string{
			t.Topic, strconv.Itoa(int(t.Partition)), strconv.FormatInt(t.ProducerID, 10),
			strconv.Itoa(int(t.ProducerEpoch)), strconv.FormatInt(t.StartOffset, 10),
			time.UnixMilli(t.LastMs).UTC().Format(time.RFC3339),
		})
	}
	return table(a.out, rows)
}

func (a *app) txnAbortCmd() *cobra.Command {
	var id, topic string
	var partition int32
	var offset int64
	c := &cobra.Command{
		Use:   "abort",
		Short: "Abort a transaction",
		Long: "Abort ends a transaction by its transactional id, as a new producer of that id does: the old one\n" +
			"is fenced. A transaction that hangs, which no coordinator would end, is named by its partition\n" +
			"and the offset that it begins at, as find-hanging prints them; an abort marker goes into that\n" +
			"partition alone. Doing so to one that its coordinator still has open tears it apart.",
		Example: "  sluice txn abort --id payments-1\n" +
			"  sluice txn abort --topic orders --partition 3 --start-offset 4711",
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	f.StringVar(&id, "id", "", "transactional id")
	f.StringVarP(&topic, "topic", "t", "", "topic of a transaction that hangs")
	f.Int32VarP(&partition, "partition", "p", -1, "its partition")
	f.Int64Var(&offset, "start-offset", -1, "its first offset")
	for _, name := range []string{"partition", "start-offset"} {
		f.Lookup(name).DefValue = ""
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		place := topic != "" || partition >= 0 || offset >= 0
		if (id == "") != place || place && (topic == "" || partition < 0 || offset < 0) {
			return usagef("give either --id, or all of --topic, --partition and --start-offset")
		}
		return a.ask(c, func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
			if id != "" {
				if err := fenceTxn(ctx, adm, cl, id); err != nil {
					return txnError(id, err)
				}
				fmt.Fprintf(a.out, "transactional id %s: its producer is fenced, and a transaction that was open is aborted\n", id)
				return nil
			}
			p := topicPartition{topic, partition}
			t, err := openTxnAt(ctx, adm, p, offset)
			if err == nil {
				err = abortAt(ctx, adm, p, t.ProducerID, t.ProducerEpoch, max(t.CoordinatorEpoch, 0))
			}
			if err != nil {
				return fmt.Errorf("topic %s, partition %d: %w", topic, partition, explained(err))
			}
			fmt.Fprintf(a.out, "topic %s, partition %d: the transaction of producer %d at offset %d is aborted\n",
				topic, partition, t.ProducerID, offset)
			return nil
		})
	}
	return c
}
