// Command kfake runs franz-go's in-memory fake broker as a process of its own, for comparisons: one
// broker on a free port of 127.0.0.1, which it tells on standard output. SIGTERM ends it.
//
// It is a module by itself, so that Sluice does not depend on it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// overrides collects the flags of that name.
type overrides map[string]string

// String implements flag.Value.
func (o overrides) String() string { return "" }

// Set implements flag.Value.
func (o overrides) Set(text string) error {
	k, v, ok := strings.Cut(text, "=")
	if !ok || k == "" {
		return errors.New("it must be name=value")
	}
	o[k] = v
	return nil
}

// dynamic are the broker configs that kfake heeds; it takes any other without a word.
var dynamic = []string{
	"compression.type", "default.replication.factor", "group.consumer.heartbeat.interval.ms",
	"group.consumer.session.timeout.ms", "log.message.timestamp.type", "log.retention.bytes",
	"log.retention.ms", "max.incremental.fetch.session.cache.slots", "message.max.bytes",
	"min.insync.replicas", "transaction.max.timeout.ms",
}

// options turns overrides into kfake's options.
func (o overrides) options() (opts []kfake.Opt, err error) {
	configs := map[string]string{}
	for k, v := range o {
		switch {
		case k == "num.partitions":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("num.partitions=%s: it must be a number from 1", v)
			}
			opts = append(opts, kfake.DefaultNumPartitions(n))
		case k == "auto.create.topics.enable" && v == "true":
			opts = append(opts, kfake.AllowAutoTopicCreation())
		case k == "auto.create.topics.enable" && v == "false":
		case slices.Contains(dynamic, k):
			configs[k] = v
		default:
			return nil, fmt.Errorf("%s=%s: kfake heeds only num.partitions, "+
				"auto.create.topics.enable (true or false), %s", k, v, strings.Join(dynamic, ", "))
		}
	}
	return append(opts, kfake.BrokerConfigs(configs)), nil
}

func main() {
	configs := overrides{}
	flag.Var(configs, "override", "a broker config, `name=value`; may be repeated")
	flag.Parse()
	if err := run(configs); err != nil {
		fmt.Fprintln(os.Stderr, "kfake:", err)
		os.Exit(1)
	}
}

func run(configs overrides) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, os.Interrupt)
	options, err := configs.options()
	if err != nil {
		return err
	}
	cluster, err := kfake.NewCluster(append(options,
		kfake.NumBrokers(1),
		kfake.Ports(0),
		kfake.WithLogger(kfake.BasicLogger(os.Stderr, kfake.LogLevelWarn)))...)
	if err != nil {
		return err
	}
	defer cluster.Close()
	fmt.Printf("kfake listens at %s\n", cluster.ListenAddrs()[0])
	<-ended
	return nil
}
