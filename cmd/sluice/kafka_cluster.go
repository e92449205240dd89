package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/kopt"
	"sluice/wire"
)

func (a *app) kafkaCluster() kafkaTool {
	return kafkaTool{
		name:  "kafka-cluster",
		about: "Print a cluster's id, its brokers or what they understand: cluster-id, list-endpoints, api-versions",
		example: "  kafka-cluster cluster-id --bootstrap-server 127.0.0.1:9092\n" +
			"  kafka-cluster list-endpoints -b 127.0.0.1:9092",
		words: true,
		options: kopt.NewSet(
			kopt.Option{
				Name: "bootstrap-server", Short: "b", Kind: kopt.Value, Arg: "host:port,…",
				Help: "REQUIRED: the brokers to ask first.",
			},
			kopt.Option{Name: "bootstrap-controller", Short: "C", Kind: kopt.Value, Arg: "host:port"},
			kopt.Option{Name: "command-config", Kind: kopt.Value, Arg: "file", Help: "File with client properties."},
			kopt.Option{Name: "config", Kind: kopt.Value, Arg: "file"},
			kopt.Option{Name: "broker-list", Kind: kopt.Value, Arg: "host:port,…"},
			kopt.Option{Name: "include-fenced-brokers", Help: "List fenced brokers too."},
			kopt.Option{Name: "id", Kind: kopt.Value, Arg: "id"},
			kopt.Option{Name: "help", Short: "h", Help: "Print this text."},
			kopt.Option{Name: "version", Help: "Print the version."},
		),
		run: a.runKafkaCluster,
	}
}

func (a *app) runKafkaCluster(ctx context.Context, line *kopt.Line) error {
	if len(line.Rest) != 1 {
		return kopt.Errorf("which of cluster-id, list-endpoints and api-versions?")
	}
	if line.Has("bootstrap-controller") {
		return errors.New("--bootstrap-controller is not supported, use --bootstrap-server instead")
	}
	run, ok := map[string]func(context.Context, *kopt.Line, *kadm.Client, *kgo.Client) error{
		"cluster-id": a.kafkaClusterID, "list-endpoints": a.kafkaEndpoints,
		"api-versions": a.printAPIVersions,
	}[line.Rest[0]]
	if !ok {
		return fmt.Errorf("kafka-cluster %s is not supported; cluster-id, list-endpoints and "+
			"api-versions are", line.Rest[0])
	}
	bootstrap, err := bootstrapOf(line)
	if err != nil {
		return err
	}
	s, err := a.settingsWith(bootstrap, line.GetOr("command-config", line.Get("config")), nil)
	if err != nil {
		return err
	}
	return a.admin(ctx, s, nil, func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
		return run(ctx, line, adm, cl)
	})
}

func (a *app) kafkaClusterID(ctx context.Context, _ *kopt.Line, _ *kadm.Client,
	cl *kgo.Client,
) error {
	info, err := describeCluster(ctx, cl, false)
	if err == nil {
		fmt.Fprintf(a.out, "Cluster ID: %s\n", info.ID)
	}
	return err
}

func (a *app) kafkaEndpoints(ctx context.Context, line *kopt.Line, _ *kadm.Client,
	cl *kgo.Client,
) error {
	info, err := describeCluster(ctx, cl, line.Has("include-fenced-brokers"))
	if err != nil {
		return err
	}
	width := len("HOST")
	for _, b := range info.Brokers {
		width = max(width, len(b.Host))
	}
	row := func(id, host, port, rack, state, kind string) {
		fmt.Fprintf(a.out, "%-10s %-*s %-10s %-10s %-10s %-15s\n", id, width, host, port, rack, state, kind)
	}
	row("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE")
	for _, b := range info.Brokers {
		state := "unfenced"
		if b.Fenced {
			state = "fenced"
		}
		row(strconv.Itoa(int(b.ID)), b.Host, strconv.Itoa(int(b.Port)), orNull(b.Rack), state, "broker")
	}
	return nil
}

func (a *app) kafkaAPIVersions() kafkaTool {
	return kafkaTool{
		name:    "kafka-broker-api-versions",
		about:   "Print the versions of each API that brokers understand",
		example: "  kafka-broker-api-versions --bootstrap-server 127.0.0.1:9092",
		options: withConnection(),
		run: func(ctx context.Context, line *kopt.Line) error {
			s, err := a.kafkaSettings(line)
			if err != nil {
				return err
			}
			return a.admin(ctx, s, nil, func(
				ctx context.Context, adm *kadm.Client, cl *kgo.Client,
			) error {
				return a.printAPIVersions(ctx, line, adm, cl)
			})
		},
	}
}

// printAPIVersions asks each broker. The usable version is the newest that both sides know.
func (a *app) printAPIVersions(ctx context.Context, _ *kopt.Line, adm *kadm.Client,
	cl *kgo.Client,
) error {
	brokers, err := adm.ListBrokers(ctx)
	if err != nil {
		return err
	}
	for _, b := range brokers {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "sluice", "cli"
		resp, err := cl.Broker(int(b.NodeID)).Request(ctx, req)
		if err != nil {
			return err
		}
		keys := resp.(*kmsg.ApiVersionsResponse)
		if err := brokerError(keys.ErrorCode, ""); err != nil {
			return client.Explain(err, "")
		}
		fmt.Fprintf(a.out, "%s:%d (id: %d rack: %s isFenced: false) -> (\n", b.Host, b.Port, b.NodeID,
			orNull(b.Rack))
		for i, k := range keys.ApiKeys {
			end := ","
			if i == len(keys.ApiKeys)-1 {
				end = ""
			}
			fmt.Fprintf(a.out, "\t%s%s\n", apiLine(k.ApiKey, k.MinVersion, k.MaxVersion), end)
		}
		fmt.Fprintln(a.out, ")")
	}
	return nil
}

func apiLine(key, low, high int16) string {
	versions := fmt.Sprintf("%d to %d", low, high)
	if low == high {
		versions = strconv.Itoa(int(low))
	}
	api := wire.APIByKey(key)
	if api == nil {
		return fmt.Sprintf("UNKNOWN(%d): %s", key, versions)
	}
	usable := min(high, api.MaxVersion)
	if usable < low {
		return fmt.Sprintf("%s(%d): %s [usable: UNSUPPORTED]", api.Name, key, versions)
	}
	return fmt.Sprintf("%s(%d): %s [usable: %d]", api.Name, key, versions, usable)
}
