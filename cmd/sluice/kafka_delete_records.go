package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/kopt"
)

func (a *app) kafkaDeleteRecords() kafkaTool {
	return kafkaTool{
		name:  "kafka-delete-records",
		about: "Delete the records of partitions up to given offsets",
		example: `  echo '{"partitions":[{"topic":"orders","partition":0,"offset":42}],"version":1}' > upto.json` +
			"\n  kafka-delete-records --bootstrap-server 127.0.0.1:9092 --offset-json-file upto.json",
		options: withConnection(kopt.Option{
			Name: "offset-json-file", Kind: kopt.Value, Arg: "file",
			Help: "REQUIRED: JSON with the first offset to keep of each partition; -1 keeps nothing.",
		}),
		run: a.runDeleteRecords,
	}
}

// deleteList is the JSON file of kafka-delete-records.
type deleteList struct {
	Version    *int `json:"version"`
	Partitions []struct {
		Topic     *string `json:"topic"`
		Partition *int32  `json:"partition"`
		Offset    *int64  `json:"offset"`
	} `json:"partitions"`
}

// parseDeletes reads the file's text.
func parseDeletes(text []byte) (kadm.Offsets, error) {
	var list deleteList
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, says("The input string is not a valid JSON")
	}
	if list.Version != nil && *list.Version != 1 {
		return nil, says("Not supported version field value %d", *list.Version)
	}
	if list.Partitions == nil {
		return nil, says("Missing partitions field")
	}
	offsets := kadm.Offsets{}
	for _, p := range list.Partitions {
		switch {
		case p.Topic == nil:
			return nil, says("No such field exists: `topic`")
		case p.Partition == nil:
			return nil, says("No such field exists: `partition`")
		case p.Offset == nil:
			return nil, says("No such field exists: `offset`")
		}
		if _, ok := offsets.Lookup(*p.Topic, *p.Partition); ok {
			return nil, says("Offset json file contains duplicate topic partitions: %s-%d",
				*p.Topic, *p.Partition)
		}
		offsets.AddOffset(*p.Topic, *p.Partition, *p.Offset, -1)
	}
	return offsets, nil
}

func (a *app) runDeleteRecords(ctx context.Context, line *kopt.Line) error {
	if err := line.Require("offset-json-file"); err != nil {
		return err
	}
	s, err := a.kafkaSettings(line)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(line.Get("offset-json-file"))
	if err != nil {
		return says("Unable to read file %s", line.Get("offset-json-file"))
	}
	offsets, err := parseDeletes(text)
	if err != nil {
		return err
	}
	return a.admin(ctx, s, nil, func(ctx context.Context, adm *kadm.Client, _ *kgo.Client) error {
		fmt.Fprintln(a.out, "Executing records delete operation")
		done, err := adm.DeleteRecords(ctx, offsets)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.out, "Records delete operation completed:")
		for _, p := range done.Sorted() {
			if p.Err != nil {
				fmt.Fprintf(a.out, "partition: %s-%d\terror: %v\n", p.Topic, p.Partition,
					client.Explain(p.Err, ""))
				continue
			}
			fmt.Fprintf(a.out, "partition: %s-%d\tlow_watermark: %d\n", p.Topic, p.Partition, p.LowWatermark)
		}
		return nil
	})
}
