// Fetchdrive starts the built broker, fills a topic with record batches that cannot be compressed,
// and fetches them all back in large pieces, checking that every byte came and that the batches are
// the ones that were sent. The broker may be run by another command: scripts/straceproof.sh has
// strace watch it. The figures are for that, not for speed.
//
//	go run ./scripts/fetchdrive -bin bin/sluice -mib 1024 -piece 65536 -under "strace -D -c"
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"sluice/scripts/internal/rig"
	"sluice/wire"
)

func main() {
	bin := flag.String("bin", "bin/sluice", "the broker's binary")
	under := flag.String("under", "", "a command that runs the broker, with its flags")
	dir := flag.String("dir", "", "where data and log go (default: a folder that is removed)")
	mib := flag.Int64("mib", 1024, "how much to produce and fetch, in MiB")
	piece := flag.Int("piece", 64<<10, "the size of a batch and of a fetched piece, in bytes")
	flag.Parse()
	if err := run(*bin, *dir, strings.Fields(*under), *mib<<20, *piece); err != nil {
		fmt.Fprintln(os.Stderr, "fetchdrive:", err)
		os.Exit(1)
	}
}

const topic = "fetchdrive"

func run(bin, dir string, under []string, bytes int64, piece int) (err error) {
	if piece < 1<<10 {
		return errors.New("-piece must be at least 1024")
	}
	if dir == "" {
		if dir, err = os.MkdirTemp("", "fetchdrive-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	b, err := rig.Start(bin, dir, under...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Stop()) }()
	if _, err := b.FirstAnswer(); err != nil {
		return err
	}
	return drive(b, bytes, piece)
}

func drive(b *rig.Broker, bytes int64, piece int) error {
	c, err := b.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.CreateTopic(topic, 1); err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{})
	batch, err := rig.Batch(1, piece, func(p []byte) { _, _ = random.Read(p) })
	if err != nil {
		return err
	}
	crc := wire.Batch(batch).CRC()
	batches := (bytes + int64(len(batch)) - 1) / int64(len(batch))
	from := time.Now()
	if err := fill(c, batch, batches); err != nil {
		return err
	}
	fmt.Printf("produced %d batches of %d bytes in %v\n", batches, len(batch), since(from))
	from = time.Now()
	fetched, answers, err := drain(c, crc, batches, len(batch))
	if err != nil {
		return err
	}
	fmt.Printf("fetched %d bytes in %d answers in %v\n", fetched, answers, since(from))
	return nil
}

func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }

func fill(c *rig.Client, batch []byte, batches int64) error {
	q := rig.Produce(topic, 0, 1, batch)
	for i := range batches {
		p, err := c.Ask(q)
		if err != nil {
			return err
		}
		offset, err := rig.CheckProduce(p)
		if err != nil {
			return err
		}
		if offset != i {
			return fmt.Errorf("batch %d got offset %d", i, offset)
		}
	}
	return nil
}

// drain fetches everything in answers of one batch or a little more.
func drain(c *rig.Client, crc uint32, batches int64, n int) (
	fetched int64, answers int, err error,
) {
	for offset := int64(0); offset < batches; answers++ {
		p, err := c.Ask(rig.Fetch(topic, 0, offset, int32(n), 1000))
		if err != nil {
			return 0, 0, err
		}
		records, err := rig.CheckFetch(p)
		if err != nil {
			return 0, 0, err
		}
		fetched += int64(len(records))
		for len(records) > 0 {
			var b wire.Batch
			if b, records, err = wire.NextBatch(records); err != nil {
				return 0, 0, fmt.Errorf("at offset %d: %w", offset, err)
			}
			if b.BaseOffset() != offset || b.CRC() != crc || !b.Intact() {
				return 0, 0, fmt.Errorf("offset %d: another batch than was sent", offset)
			}
			offset++
		}
	}
	return fetched, answers, nil
}
