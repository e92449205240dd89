package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/kopt"
)

// kafkaTool is one of Kafka's shell tools.
type kafkaTool struct {
	name    string
	about   string
	example string
	options *kopt.Set
	// words says that words without an option mean something to the tool.
	words bool
	// brokerList says that --broker-list is the tool's own option, not an old name of
	// --bootstrap-server.
	brokerList bool
	// oneDash lists options that the tool also takes with a single dash.
	oneDash []string
	run     func(ctx context.Context, line *kopt.Line) error
}

// kafkaTools are Kafka's tools that this binary stands in for.
func (a *app) kafkaTools() []kafkaTool {
	return []kafkaTool{
		a.kafkaServerStart(), a.kafkaServerStop(), a.kafkaTopics(), a.kafkaConsoleProducer(),
		a.kafkaConsoleConsumer(), a.kafkaConfigs(), a.kafkaGetOffsets(), a.kafkaDeleteRecords(),
		a.kafkaLogDirs(), a.kafkaDumpLog(), a.kafkaCluster(), a.kafkaAPIVersions(),
		a.kafkaConsumerGroups(), a.kafkaGroups(), a.kafkaTransactions(),
	}
}

// withConnection adds the options that nearly every tool has.
func withConnection(options ...kopt.Option) *kopt.Set {
	return kopt.NewSet(append(options,
		kopt.Option{
			Name: "bootstrap-server", Kind: kopt.Value, Arg: "host:port,…",
			Help: "REQUIRED: the brokers to ask first.",
		},
		kopt.Option{Name: "broker-list", Kind: kopt.Value, Arg: "host:port,…"},
		kopt.Option{
			Name: "command-config", Kind: kopt.Value, Arg: "file",
			Help: "File with client properties.",
		},
		kopt.Option{Name: "help", Help: "Print this text."},
		kopt.Option{Name: "version", Help: "Print the version."},
	)...)
}

// withHelp adds only help and version.
func withHelp(options ...kopt.Option) *kopt.Set {
	return kopt.NewSet(append(options, kopt.Option{Name: "help", Help: "Print this text."},
		kopt.Option{Name: "version", Help: "Print the version."})...)
}

func (a *app) kafkaCmd(t kafkaTool) *cobra.Command {
	c := &cobra.Command{
		Use:                t.name,
		Short:              t.about,
		Example:            t.example,
		GroupID:            groupKafka,
		DisableFlagParsing: true,
		RunE: func(c *cobra.Command, words []string) error {
			return a.runKafka(c.Context(), t, words)
		},
	}
	c.SetHelpFunc(func(*cobra.Command, []string) { a.kafkaHelp(t) })
	return c
}

func (a *app) kafkaHelp(t kafkaTool) {
	fmt.Fprintf(a.out, "%s.\n\nOptions:\n", t.about)
	t.options.Usage(a.out)
	fmt.Fprintf(a.out, "\nExamples:\n%s\n", t.example)
}

// runKafka parses a command line by Kafka's rules and runs the tool. What is wrong goes to the
// error output as one sentence, and the exit code is 1, as Kafka knows no other.
func (a *app) runKafka(ctx context.Context, t kafkaTool, words []string) error {
	if slices.Contains(words, "--zookeeper") || slices.ContainsFunc(words, func(w string) bool {
		return strings.HasPrefix(w, "--zookeeper=")
	}) {
		return errors.New("--zookeeper is not supported, there is no ZooKeeper any more; " +
			"use --bootstrap-server host:port instead")
	}
	words = slices.Clone(words)
	for i, w := range words {
		if slices.Contains(t.oneDash, w) {
			words[i] = "-" + w
		}
	}
	line, err := t.options.Parse(words)
	if err == nil {
		switch {
		case line.Has("help"):
			a.kafkaHelp(t)
			return nil
		case line.Has("version"):
			fmt.Fprintln(a.out, versionInfo().line())
			return nil
		}
		if line.Has("broker-list") && !t.brokerList {
			a.warnf("--broker-list is deprecated, use --bootstrap-server instead")
		}
		if len(line.Rest) > 0 && !t.words {
			a.warnf("%q belongs to no option and is ignored", strings.Join(line.Rest, " "))
		}
		err = t.run(ctx, line)
	}
	var wrong kopt.Error
	if errors.As(err, &wrong) {
		return &exit{exitFailed, fmt.Sprintf("%s; see %s --help", wrong, t.name)}
	}
	var e *exit
	if errors.As(err, &e) && e.code == exitUsage {
		return &exit{exitFailed, e.text}
	}
	return err
}

// bootstrapOf returns the brokers that a Kafka tool is to ask.
func bootstrapOf(line *kopt.Line) (string, error) {
	if s := line.GetOr("bootstrap-server", line.Get("broker-list")); s != "" {
		return s, nil
	}
	return "", line.Require("bootstrap-server")
}

// kafkaSettings returns the client settings of a Kafka tool's command line.
func (a *app) kafkaSettings(line *kopt.Line, pairs ...[2]string) (*client.Settings, error) {
	bootstrap, err := bootstrapOf(line)
	if err != nil {
		return nil, err
	}
	return a.settingsWith(bootstrap, line.Get("command-config"), pairs)
}

// says returns an error in Kafka's words, which begin with a capital.
func says(format string, args ...any) error {
	return &exit{exitFailed, fmt.Sprintf(format, args...)}
}

// oneOf returns the one option of several that was given.
func oneOf(line *kopt.Line, names ...string) (string, error) {
	found := ""
	for _, name := range names {
		if line.Has(name) {
			if found != "" {
				found = ""
				break
			}
			found = name
		}
	}
	if found == "" {
		return "", kopt.Errorf("Command must include exactly one action: --%s",
			strings.Join(names, ", --"))
	}
	return found, nil
}

// kafkaFilter compiles a topic expression as Kafka's IncludeList reads it: commas are alternatives,
// spaces and quotes around it are dropped, and the whole name must match.
func kafkaFilter(expression string) (func(string) bool, error) {
	e := strings.Trim(strings.TrimSpace(expression), `"'`)
	e = strings.ReplaceAll(strings.ReplaceAll(e, ",", "|"), " ", "")
	return wholeMatch(e)
}
