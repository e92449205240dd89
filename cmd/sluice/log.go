package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"

	"github.com/spf13/cobra"

	"sluice/cmd/sluice/internal/coordrec"
	"sluice/cmd/sluice/internal/logdump"
)

func (a *app) logCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "log",
		Short:   "Look into the files of a log, without a broker",
		Example: "  sluice log dump data/orders-0",
		Args:    cobra.ArbitraryArgs,
	}
	c.AddCommand(a.logDumpCmd())
	return a.group(c)
}

func (a *app) logDumpCmd() *cobra.Command {
	var records, verify bool
	var decode string
	c := &cobra.Command{
		Use:   "dump FILE|DIR…",
		Short: "Print segments, indexes, snapshots and checkpoints",
		Long: "Dump prints the files of a log, or all such files in a partition's directory. It reads only\n" +
			"and needs no broker, so it may be used beside a running one. It exits with 1 if a checksum is\n" +
			"wrong, if a segment ends in bytes that are no whole batch, or if an index does not fit.\n\n" +
			"The records of __consumer_offsets and __transaction_state are printed in words if they lie in a\n" +
			"directory of that name, or as --decode says.",
		Example: "  sluice log dump data/orders-0\n" +
			"  sluice log dump data/orders-0/00000000000000000000.log --records\n" +
			"  sluice log dump data/orders-0 --verify -o json\n" +
			"  sluice log dump data/__consumer_offsets-12 --records",
		Args: cobra.MinimumNArgs(1),
	}
	c.Flags().BoolVarP(&records, "records", "r", false, "print every record of a segment")
	c.Flags().BoolVar(&verify, "verify", false, "compare indexes with their segments")
	c.Flags().StringVar(&decode, "decode", "auto",
		"how to read records: `auto`, offsets, transactions or none")
	a.addOutput(c, true)
	c.RunE = func(_ *cobra.Command, args []string) error {
		decoder, err := decoderFor(decode)
		if err != nil {
			return err
		}
		p := &logdump.Printer{
			Out: bufio.NewWriter(a.out), JSON: a.json(), Records: records, Verify: verify,
			DecoderOf: decoder,
		}
		var errs []error
		for _, arg := range args {
			files, err := logFiles(arg)
			errs = append(errs, err)
			for _, f := range files {
				errs = append(errs, p.File(f))
			}
		}
		errs = append(errs, p.Out.Flush())
		if err := errors.Join(errs...); err != nil {
			return err
		}
		if n := p.Wrong(); n > 0 {
			return fmt.Errorf("%s wrong", plural(n, "thing"))
		}
		return nil
	}
	return c
}

// decoderFor returns how the records of a file are read.
func decoderFor(name string) (func(path string) *logdump.Decoder, error) {
	fixed := func(topic coordrec.Topic) func(string) *logdump.Decoder {
		return func(string) *logdump.Decoder { return &logdump.Decoder{Topic: topic} }
	}
	switch name {
	case "auto":
		return logdump.DecoderOf, nil
	case "offsets":
		return fixed(coordrec.Offsets), nil
	case "transactions":
		return fixed(coordrec.Transactions), nil
	case "none":
		return nil, nil
	}
	return nil, usagef("--decode %s: it must be auto, offsets, transactions or none", name)
}

// logFiles returns a file, or the files of a log in a directory, in the order of their names.
func logFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		if e.Type().IsRegular() && logdump.KindOf(file) != logdump.Unknown {
			files = append(files, file)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no files of a log", path)
	}
	sort.Strings(files)
	return files, nil
}
