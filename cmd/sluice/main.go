package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"sluice/cmd/sluice/internal/client"
)

// version is set by the linker.
var version = "dev"

// The exit codes; see the package comment.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() {
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	os.Exit(a.run(os.Args))
}

// app is one run of the binary: what it reads and writes, and its global flags. Tests make their
// own.
type app struct {
	in  io.Reader
	out io.Writer
	err io.Writer

	bootstrap     string
	commandConfig string
	output        string
}

// exit is an error that carries its exit code. An empty text means that all has been said.
type exit struct {
	code int
	text string
}

func (e *exit) Error() string { return e.text }

// usagef returns an error for a command line that makes no sense.
func usagef(format string, args ...any) error {
	return &exit{exitUsage, fmt.Sprintf(format, args...)}
}

// run executes the command line and returns the exit code.
func (a *app) run(args []string) int {
	root := a.root()
	words := dispatch(root, args)
	root.SetArgs(words)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := refuseTool(root, words)
	if err == nil {
		err = root.ExecuteContext(context.Background())
	}
	prefix := "sluice: "
	if len(words) > 0 && (strings.HasPrefix(words[0], "kafka-") ||
		slices.Contains(absentTools, words[0])) {
		prefix = ""
	}
	return a.end(err, prefix)
}

// end prints what there is to say about how a command ended and returns the exit code.
func (a *app) end(err error, prefix string) int {
	var e *exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		if e.text == "" {
			return e.code
		}
	case errors.Is(err, context.Canceled):
		// Only a signal ends a command's context without another cause.
		return exitInterrupted
	}
	for _, one := range each(err) {
		fmt.Fprintln(a.err, prefix+one.Error())
	}
	if e != nil {
		return e.code
	}
	return exitFailed
}

// each returns the errors that were joined, or the error alone.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// dispatch returns the words for the root command. A binary that is called by the name of one of
// Kafka's scripts, with or without .sh, is that script.
func dispatch(root *cobra.Command, args []string) []string {
	name := strings.TrimSuffix(filepath.Base(args[0]), ".sh")
	for _, c := range root.Commands() {
		if c.Name() == name && strings.HasPrefix(name, "kafka-") {
			return append([]string{name}, args[1:]...)
		}
	}
	if slices.Contains(absentTools, name) {
		return append([]string{name}, args[1:]...)
	}
	words := args[1:]
	if len(words) > 0 {
		tool := strings.TrimSuffix(words[0], ".sh")
		if strings.HasPrefix(tool, "kafka-") || slices.Contains(absentTools, tool) {
			words = append([]string{tool}, words[1:]...)
		}
	}
	if words == nil {
		words = []string{}
	}
	return words
}

const (
	groupOwn   = "own"
	groupKafka = "kafka"
)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "A Kafka-compatible broker and its tools",
		Long: "Sluice is a Kafka-compatible broker for bare-metal Linux, and its tools, in one binary.\n" +
			"A link to it under the name of one of Kafka's scripts behaves as that script.",
		Example: "  sluice server\n" +
			"  sluice topic create hello -p 3\n" +
			"  echo world | sluice produce hello\n" +
			"  sluice consume hello -o start -e",
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       versionInfo().line(),
		Args:          cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	flags := root.PersistentFlags()
	flags.StringVarP(&a.bootstrap, "bootstrap-server", "b", "",
		"brokers to ask first, host:port[,host:port…] (default "+client.DefaultBootstrap+")")
	flags.StringVar(&a.commandConfig, "command-config", "",
		"file with client properties such as client.id and request.timeout.ms")
	root.AddGroup(&cobra.Group{ID: groupOwn, Title: "Commands:"},
		&cobra.Group{ID: groupKafka, Title: "Kafka's tools, with Kafka's flags:"})
	own := []*cobra.Command{
		a.serverCmd(), a.topicCmd(), a.produceCmd(), a.consumeCmd(), a.groupCmd(), a.txnCmd(),
		a.configCmd(), a.clusterCmd(), a.logCmd(), a.benchCmd(), a.versionCmd(),
	}
	for _, c := range own {
		c.GroupID = groupOwn
		root.AddCommand(c)
	}
	for _, t := range a.kafkaTools() {
		root.AddCommand(a.kafkaCmd(t))
	}
	checkArgs(root)
	return root
}

// interruptible returns a context that ends with the first SIGINT or SIGTERM; a second one ends the
// process as if nobody had listened.
func interruptible(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, cancel)
	return ctx, cancel
}
