package partition

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"sort"
	"strconv"

	"sluice/pagecache"
)

// The names of Kafka's files. They are on disk and never change.
const (
	recoveryPointFile = "recovery-point-offset-checkpoint"
	highWatermarkFile = "replication-offset-checkpoint"
	logStartFile      = "log-start-offset-checkpoint"
	leaderEpochFile   = "leader-epoch-checkpoint"
	metadataFile      = "partition.metadata"
	metaPropsFile     = "meta.properties"
	lockFile          = ".lock"
	cleanMarkerFile   = ".kafka_cleanshutdown"
)

// fileBytesMax bounds what is read of a checkpoint, snapshot or properties file, so that a damaged
// one cannot cost memory: a million producers, or partitions, fit.
const fileBytesMax = 64 << 20

// logKey names a partition in a checkpoint.
type logKey struct {
	topic     string
	partition int32
}

var errBadCheckpoint = errors.New("checkpoint file is damaged or of another version")

// appendCheckpoint appends a checkpoint file (class CheckpointFile): version 0, the number of
// entries, and the entries, a line each.
func appendCheckpoint(dst []byte, count int, lines []byte) []byte {
	dst = append(dst, "0\n"...)
	dst = strconv.AppendInt(dst, int64(count), 10)
	dst = append(dst, '\n')
	return append(dst, lines...)
}

// parseCheckpoint calls entry for each entry's line; entry reports whether the line makes sense.
func parseCheckpoint(file []byte, entry func(line []byte) bool) error {
	version, rest, ok := bytes.Cut(file, []byte("\n"))
	if !ok || string(version) != "0" {
		return errBadCheckpoint
	}
	number, rest, ok := bytes.Cut(rest, []byte("\n"))
	count, err := strconv.Atoi(string(number))
	if !ok || err != nil || count < 0 {
		return errBadCheckpoint
	}
	for range count {
		line, after, ok := bytes.Cut(rest, []byte("\n"))
		if !ok || !entry(line) {
			return errBadCheckpoint
		}
		rest = after
	}
	if len(rest) > 0 {
		return errBadCheckpoint
	}
	return nil
}

// appendOffsets appends an offset checkpoint (class OffsetCheckpointFile), sorted so that equal
// contents are equal bytes.
func appendOffsets(dst []byte, offsets map[logKey]int64) []byte {
	keys := make([]logKey, 0, len(offsets))
	for key := range offsets {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(i, j int) bool {
		if keys[i].topic != keys[j].topic {
			return keys[i].topic < keys[j].topic
		}
		return keys[i].partition < keys[j].partition
	})
	var lines []byte
	for _, key := range keys {
		lines = append(append(lines, key.topic...), ' ')
		lines = append(strconv.AppendInt(lines, int64(key.partition), 10), ' ')
		lines = append(strconv.AppendInt(lines, offsets[key], 10), '\n')
	}
	return appendCheckpoint(dst, len(keys), lines)
}

// parseOffsets reads an offset checkpoint.
func parseOffsets(file []byte) (map[logKey]int64, error) {
	offsets := make(map[logKey]int64)
	err := parseCheckpoint(file, func(line []byte) bool {
		fields := bytes.Fields(line)
		if len(fields) != 3 {
			return false
		}
		partition, errP := strconv.ParseInt(string(fields[1]), 10, 32)
		offset, errO := strconv.ParseInt(string(fields[2]), 10, 64)
		if errP != nil || errO != nil || partition < 0 || offset < 0 {
			return false
		}
		offsets[logKey{string(fields[0]), int32(partition)}] = offset
		return true
	})
	return offsets, err
}

// readFile reads a small file whole; a missing one is nil without an error.
func readFile(fsys pagecache.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size == 0 {
		return nil, err
	}
	if size > fileBytesMax {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("file is too large")}
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return b[:n], err
}

// writeFile writes a file in place, unsynced: for contents that carry their own checksum or can be
// found again.
func writeFile(fsys pagecache.FS, name string, contents []byte) error {
	f, err := fsys.Open(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(contents, 0)
	return errors.Join(err, f.Close())
}

// replaceFile writes a file so that a crash leaves the old contents or the new, never a mixture:
// a temporary name, synced, renamed. The new name is durable once its directory is synced.
func replaceFile(fsys pagecache.FS, name string, contents []byte) error {
	temporary := name + ".tmp"
	f, err := fsys.Open(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(contents, 0)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return fsys.Rename(temporary, name)
}
