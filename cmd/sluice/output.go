package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/client"
)

// addOutput gives a command the flag --output, and -o unless the letter means something else there.
func (a *app) addOutput(c *cobra.Command, short bool) {
	letter := ""
	if short {
		letter = "o"
	}
	c.Flags().StringVarP(&a.output, "output", letter, "text", "form of the output: text or json")
	check := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if a.output != "text" && a.output != "json" {
			return usagef("--output %s: it must be text or json", a.output)
		}
		if check != nil {
			return check(c, args)
		}
		return nil
	}
}

// json reports whether the output is to be JSON.
func (a *app) json() bool { return a.output == "json" }

// printJSON writes a value as indented JSON.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table writes rows in columns. The first row is the heading.
func table(w io.Writer, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, cell)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// warnf tells the person at the terminal something that is not part of the output.
func (a *app) warnf(format string, args ...any) {
	fmt.Fprintf(a.err, "sluice: "+format+"\n", args...)
}

// settings returns the client settings of the global flags.
func (a *app) settings() (*client.Settings, error) {
	return a.settingsWith(a.bootstrap, a.commandConfig, nil)
}

func (a *app) settingsWith(bootstrap, file string, pairs [][2]string) (*client.Settings, error) {
	s, err := client.Load(bootstrap, file, pairs)
	if err != nil {
		return nil, err
	}
	for _, w := range s.Warnings {
		a.warnf("%s", w)
	}
	return s, nil
}

// admin runs a function with an administrative client, under the deadline of one call.
func (a *app) admin(parent context.Context, s *client.Settings, opts []kgo.Opt,
	run func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error,
) error {
	ctx, cancel := interruptible(parent)
	defer cancel()
	cl, err := s.Dial(ctx, opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	timeout, cancelTimeout := context.WithTimeout(ctx, s.APITimeout())
	defer cancelTimeout()
	adm := kadm.NewClient(cl)
	adm.SetTimeoutMillis(int32(s.APITimeout().Milliseconds()))
	if err := run(timeout, adm, cl); err != nil {
		return client.Explain(err, "")
	}
	return nil
}

// ask is admin for a command with the global flags.
func (a *app) ask(c *cobra.Command,
	run func(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error,
) error {
	s, err := a.settings()
	if err != nil {
		return err
	}
	return a.admin(c.Context(), s, nil, run)
}
