package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sluice/engine/broker"
	"sluice/engine/catalog/config"
)

// pidFile is the name, in the first log dir, of the file that holds the number of a daemon's
// process.
const pidFile = "sluice.pid"

// serverFlags say which broker to run and what it logs.
type serverFlags struct {
	config    string
	overrides []string
	logLevel  string
	logFormat string
	daemon    bool
	logFile   string
}

func (a *app) serverCmd() *cobra.Command {
	var f serverFlags
	c := &cobra.Command{
		Use:   "server",
		Short: "Run a broker",
		Long: "Server runs a broker with Kafka's property names. SIGTERM or SIGINT ends it cleanly: it\n" +
			"stops accepting, answers what is in process and closes its logs; a second signal ends it at\n" +
			"once. Without a config it listens on port 9092 and keeps its data in /tmp/kafka-logs, as Kafka.",
		Example: "  sluice server --override listeners=PLAINTEXT://127.0.0.1:9092 --override log.dirs=./data\n" +
			"  sluice server --config server.properties --log-level debug\n" +
			"  sluice server --config server.properties --daemon",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("a configuration is given with a flag: sluice server --config %s", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return a.runServer(c.Context(), &f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.config, "config", "", "server.properties to read")
	fl.StringArrayVar(&f.overrides, "override", nil, "`key=value` that wins over the file; may be repeated")
	fl.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	fl.StringVar(&f.logFormat, "log-format", "text", "text or json")
	fl.BoolVar(&f.daemon, "daemon", false, "run in the background, once it has started well")
	fl.StringVar(&f.logFile, "log-file", "", "where a daemon's log goes (default <first log dir>/sluice.log)")
	return c
}

// load reads the broker's configuration.
func (f *serverFlags) load() (*config.Server, error) {
	text := ""
	if f.config != "" {
		b, err := os.ReadFile(f.config)
		if err != nil {
			return nil, fmt.Errorf("cannot read the configuration: %w", err)
		}
		text = string(b)
	}
	cfg, err := config.Load(text, f.overrides)
	if err != nil {
		var all []error
		for _, one := range each(err) {
			all = append(all, fmt.Errorf("the configuration is not valid: %w", one))
		}
		return nil, errors.Join(all...)
	}
	if n := oddLines(text); n > 0 && len(cfg.Warnings) > oddWarningsMax {
		more := len(cfg.Warnings) - oddWarningsMax
		cfg.Warnings = append(cfg.Warnings[:oddWarningsMax:oddWarningsMax], fmt.Sprintf(
			"and %d more; %s of %s without = or :, is it a server.properties?", more,
			plural(n, "line"), f.config))
	}
	return cfg, nil
}

// oddWarningsMax is how many warnings about a file that looks like no properties file are enough.
const oddWarningsMax = 5

// oddLines counts the lines of a properties file that have neither = nor :. Blanks may stand in
// their place, but nobody writes that on purpose.
func oddLines(text string) int {
	count, continued := 0, false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		comment := line == "" || line[0] == '#' || line[0] == '!'
		if !continued && !comment && !strings.ContainsAny(line, "=:") {
			count++
		}
		continued = !comment && strings.HasSuffix(line, `\`)
	}
	return count
}

// logger makes the broker's logger.
func (f *serverFlags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil || strings.ContainsAny(f.logLevel, "+-") {
		return nil, usagef("--log-level %s: it must be debug, info, warn or error", f.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, usagef("--log-format %s: it must be text or json", f.logFormat)
}

func (a *app) runServer(parent context.Context, f *serverFlags) error {
	log, err := f.logger(a.err)
	if err != nil {
		return err
	}
	cfg, err := f.load()
	if err != nil {
		return err
	}
	if f.daemon {
		return a.daemon(parent, f, cfg)
	}
	ctx, cancel := interruptible(parent)
	defer cancel()
	err = broker.Main(ctx, cfg, version, log)
	removePID(cfg)
	return err
}

// removePID removes the pid file if it names this process.
func removePID(cfg *config.Server) {
	path := filepath.Join(cfg.LogDirs[0], pidFile)
	text, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(text)) == strconv.Itoa(os.Getpid()) {
		// What is left behind after a failure is only a stale number, which nobody trusts.
		_ = os.Remove(path)
	}
}
