package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// absentTools are the scripts of Kafka that this binary does not stand in for. Somebody who calls
// one must be told so, not that a flag is unknown.
var absentTools = []string{
	"connect-distributed", "connect-mirror-maker", "connect-plugin-path", "connect-standalone",
	"kafka-acls", "kafka-client-metrics", "kafka-console-share-consumer", "kafka-consumer-perf-test",
	"kafka-delegation-tokens", "kafka-e2e-latency", "kafka-features",
	"kafka-jmx", "kafka-leader-election", "kafka-metadata-quorum",
	"kafka-metadata-shell", "kafka-producer-perf-test", "kafka-reassign-partitions",
	"kafka-replica-verification", "kafka-run-class", "kafka-share-consumer-perf-test",
	"kafka-share-groups", "kafka-storage", "kafka-streams-application-reset",
	"kafka-streams-groups", "kafka-verifiable-consumer",
	"kafka-verifiable-producer", "kafka-verifiable-share-consumer",
}

// refuseTool returns an error if the words begin with the name of a tool that looks like one of
// Kafka's and is not here. Its flags are its own, so this comes before any of them is looked at.
func refuseTool(root *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	name := words[0]
	if slices.Contains(absentTools, name) {
		return &exit{exitFailed, name + " is not supported by this version"}
	}
	known := func(c *cobra.Command) bool { return c.Name() == name }
	if strings.HasPrefix(name, "kafka-") && !slices.ContainsFunc(root.Commands(), known) {
		return &exit{exitFailed, "there is no tool " + name + didYouMean(root, name)}
	}
	return nil
}

// didYouMean words a suggestion for a mistyped command, or nothing.
func didYouMean(c *cobra.Command, word string) string {
	c.SuggestionsMinimumDistance = 2
	found := c.SuggestionsFor(word)
	if len(found) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(found, " or ") + "?"
}

// group makes a command of one that only holds others. Without one of them it prints its usage and
// fails, so that a script with a missing word does not go on.
func (a *app) group(c *cobra.Command) *cobra.Command {
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		fmt.Fprint(a.err, c.UsageString())
		return &exit{exitUsage, ""}
	}
	return c
}

func unknownCommand(c *cobra.Command, word string) error {
	if hint := didYouMean(c, word); hint != "" {
		return usagef("there is no command %q of %s%s", word, c.CommandPath(), hint)
	}
	return usagef("there is no command %q of %s; see %s --help", word, c.CommandPath(),
		c.CommandPath())
}

// checkArgs makes every wrong number of words end with exit code 2 and a pointer to the help.
func checkArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			var e *exit
			if err == nil || errors.As(err, &e) {
				return err
			}
			if _, words, _ := strings.Cut(c.Use, " "); len(args) == 0 {
				return usagef("what is missing is %s; see %s --help", words, c.CommandPath())
			}
			return usagef("%q is one word too many; see %s --help", args[len(args)-1],
				c.CommandPath())
		}
	}
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
}

// flagError words what the flag package says about a flag, without the types and functions of Go.
func flagError(c *cobra.Command, err error) error {
	var bad interface{ GetValue() string }
	if !errors.As(err, &bad) {
		return usagef("%v; see %s --help", err, c.CommandPath())
	}
	// The text names the flag as in: for "-p, --partitions" flag.
	_, name, _ := strings.Cut(err.Error(), `for "`)
	name, _, _ = strings.Cut(name[strings.Index(name, "--")+2:], `" flag:`)
	must, kind := "it is not valid", ""
	if f := c.Flags().Lookup(name); f != nil {
		kind = f.Value.Type()
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		must = "the number is too large or too small"
	case strings.HasSuffix(kind, "Slice"):
		must = "it must be numbers with commas between them"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		must = "it must be a whole number"
	case kind == "bool":
		must = "it must be true or false"
	case kind == "duration":
		must = "it must be a time such as 50ms or 2s"
	}
	return usagef("--%s %s: %s; see %s --help", name, bad.GetValue(), must, c.CommandPath())
}
