package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/kopt"
)

func (a *app) kafkaLogDirs() kafkaTool {
	return kafkaTool{
		name:  "kafka-log-dirs",
		about: "Print the sizes of partitions by log directory, as JSON",
		example: "  kafka-log-dirs --bootstrap-server 127.0.0.1:9092 --describe\n" +
			"  kafka-log-dirs --bootstrap-server 127.0.0.1:9092 --describe --topic-list orders,payments",
		brokerList: true,
		options: kopt.NewSet(
			kopt.Option{Name: "describe", Help: "REQUIRED: describe the log directories."},
			kopt.Option{Name: "broker-list", Kind: kopt.Value, Arg: "id,id,…", Help: "Only these brokers."},
			kopt.Option{Name: "topic-list", Kind: kopt.Value, Arg: "topic,…", Help: "Only these topics."},
			kopt.Option{
				Name: "bootstrap-server", Kind: kopt.Value, Arg: "host:port,…",
				Help: "REQUIRED: the brokers to ask first.",
			},
			kopt.Option{Name: "command-config", Kind: kopt.Value, Arg: "file", Help: "File with client properties."},
			kopt.Option{Name: "help", Help: "Print this text."},
			kopt.Option{Name: "version", Help: "Print the version."},
		),
		run: a.runLogDirs,
	}
}

// The JSON of kafka-log-dirs, with the fields in Kafka's order.
type (
	logDirsJSON struct {
		Brokers []brokerDirsJSON `json:"brokers"`
		Version int              `json:"version"`
	}
	brokerDirsJSON struct {
		Broker  int32        `json:"broker"`
		LogDirs []logDirJSON `json:"logDirs"`
	}
	logDirJSON struct {
		Partitions []logDirPartitionJSON `json:"partitions"`
		Error      *string               `json:"error"`
		LogDir     string                `json:"logDir"`
	}
	logDirPartitionJSON struct {
		Partition string `json:"partition"`
		Size      int64  `json:"size"`
		OffsetLag int64  `json:"offsetLag"`
		IsFuture  bool   `json:"isFuture"`
	}
)

func (a *app) runLogDirs(ctx context.Context, line *kopt.Line) error {
	if err := line.Require("bootstrap-server", "describe"); err != nil {
		return err
	}
	s, err := a.settingsWith(line.Get("bootstrap-server"), line.Get("command-config"), nil)
	if err != nil {
		return err
	}
	topics := splitList(line.Get("topic-list"))
	return a.admin(ctx, s, nil, func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
		ids, err := wantedBrokers(ctx, adm, splitList(line.Get("broker-list")))
		if err != nil {
			return err
		}
		fmt.Fprintln(a.out, "Querying brokers for log directories information")
		out := logDirsJSON{Brokers: []brokerDirsJSON{}, Version: 1}
		for _, id := range ids {
			dirs, err := adm.DescribeBrokerLogDirs(ctx, id, nil)
			if err != nil {
				return err
			}
			out.Brokers = append(out.Brokers, newBrokerDirs(id, dirs, topics))
		}
		fmt.Fprintf(a.out, "Received log directory information from brokers %s\n", join(ids))
		text, err := json.Marshal(out)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.out, string(text))
		return nil
	})
}

// splitList splits a list at its commas; an empty one is nil.
func splitList(list string) []string {
	var out []string
	for _, word := range strings.Split(list, ",") {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
	}
	return out
}

// wantedBrokers returns the ids of the brokers of the list, or of all. One that does not exist is
// an error.
func wantedBrokers(ctx context.Context, adm *kadm.Client, list []string) ([]int32, error) {
	brokers, err := adm.ListBrokers(ctx)
	if err != nil {
		return nil, err
	}
	ids := brokers.NodeIDs()
	slices.Sort(ids)
	if list == nil {
		return ids, nil
	}
	var wanted, absent []int32
	for _, word := range list {
		n, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("--broker-list: %q is no broker id", word)
		}
		if slices.Contains(ids, int32(n)) {
			wanted = append(wanted, int32(n))
		} else {
			absent = append(absent, int32(n))
		}
	}
	if absent != nil {
		return nil, says("ERROR: The given brokers do not exist from --broker-list: %s. "+
			"Current existent brokers: %s", join(absent), join(ids))
	}
	return wanted, nil
}

func newBrokerDirs(id int32, dirs kadm.DescribedLogDirs, topics []string) brokerDirsJSON {
	out := brokerDirsJSON{Broker: id, LogDirs: []logDirJSON{}}
	for _, d := range dirs.Sorted() {
		dir := logDirJSON{LogDir: d.Dir, Partitions: []logDirPartitionJSON{}}
		if d.Err != nil {
			text := client.Explain(d.Err, "").Error()
			dir.Error = &text
		}
		for _, p := range d.Topics.Sorted() {
			if topics == nil || slices.Contains(topics, p.Topic) {
				dir.Partitions = append(dir.Partitions, logDirPartitionJSON{
					Partition: p.Topic + "-" + strconv.Itoa(int(p.Partition)),
					Size:      p.Size, OffsetLag: p.OffsetLag, IsFuture: p.IsFuture,
				})
			}
		}
		out.LogDirs = append(out.LogDirs, dir)
	}
	return out
}
