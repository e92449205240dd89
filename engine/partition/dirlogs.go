package partition

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// The suffixes of partition directories (class UnifiedLog).
const (
	deleteDirSuffix = "-delete"
	futureDirSuffix = "-future"
	strayDirSuffix  = "-stray"
)

// nameBytesMax is what a file name may have on Linux (NAME_MAX).
const nameBytesMax = 255

func logDirName(topic string, partition int32) string {
	return topic + "-" + strconv.FormatInt(int64(partition), 10)
}

// parseLogDirName splits <topic>-<partition>; other names are not partitions in use.
func parseLogDirName(name string) (topic string, partition int32, ok bool) {
	for _, suffix := range []string{deleteDirSuffix, futureDirSuffix, strayDirSuffix} {
		if strings.HasSuffix(name, suffix) {
			return "", 0, false
		}
	}
	at := strings.LastIndexByte(name, '-')
	if at <= 0 {
		return "", 0, false
	}
	n, err := strconv.ParseInt(name[at+1:], 10, 32)
	if err != nil || n < 0 || name[at+1] == '+' {
		return "", 0, false
	}
	return name[:at], int32(n), true
}

func sortLogs(list []*Log) {
	sort.Slice(list, func(i, j int) bool {
		if list[i].topic != list[j].topic {
			return list[i].topic < list[j].topic
		}
		return list[i].partition < list[j].partition
	})
}

// Partitions lists the partition directories, for the broker to open (in parallel) or to delete.
func (d *Dir) Partitions() ([]FoundLog, error) {
	entries, err := d.fs.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var found []FoundLog
	for _, entry := range entries {
		topic, partition, ok := parseLogDirName(entry.Name())
		if !ok || !entry.IsDir() {
			continue
		}
		file, err := readFile(d.fs, filepath.Join(d.path, entry.Name(), metadataFile))
		if err != nil {
			return nil, err
		}
		found = append(found, FoundLog{topic, partition, parsePartitionMetadata(file)})
	}
	return found, nil
}

// HighWatermark is the high watermark that replication-offset-checkpoint held at OpenDir, 0 if none.
func (d *Dir) HighWatermark(topic string, partition int32) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.highs[logKey{topic, partition}]
}

// checkpointed returns the recovery point and start offset that the checkpoints have for a log.
func (d *Dir) checkpointed(key logKey) (recoveryPoint, start int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.recovery[key], d.starts[key]
}

// forget removes what the checkpoints say about a partition of which there is no directory:
// entries of an earlier one of that name must not vouch for the new one's bytes.
func (d *Dir) forget(key logKey) error {
	d.mu.Lock()
	_, inRecovery := d.recovery[key]
	_, inStarts := d.starts[key]
	_, inHighs := d.highs[key]
	_, inCleaned := d.cleaned[key]
	delete(d.recovery, key)
	delete(d.starts, key)
	delete(d.highs, key)
	delete(d.cleaned, key)
	d.mu.Unlock()
	if inCleaned {
		if err := d.writeOffsets(cleanerPointFile, d.cleaned, nil); err != nil {
			return err
		}
	}
	if !inRecovery && !inStarts && !inHighs {
		return nil
	}
	return errors.Join(d.writeStartOffsets(), d.writeRecoveryPoints(),
		d.writeOffsets(highWatermarkFile, d.highs, nil))
}

// recoveryPoint is what recovery-point-offset-checkpoint may say of the log.
func (l *Log) recoveryPoint() int64 {
	if l.dir.mutants.earlyRecoveryPoint {
		return l.leo.Load()
	}
	return l.flushed.Load()
}

func (d *Dir) writeRecoveryPoints() error {
	return d.writeOffsets(recoveryPointFile, d.recovery, (*Log).recoveryPoint)
}

func (d *Dir) writeStartOffsets() error {
	return d.writeOffsets(logStartFile, d.starts, func(l *Log) int64 { return l.committed.Load() })
}

// writeOffsets brings one checkpoint up to date with the logs that are open, durably. Entries of
// logs that are not open stay. value is called with locks held and must take none.
func (d *Dir) writeOffsets(name string, entries map[logKey]int64, value func(*Log) int64) error {
	if err := d.err(); err != nil {
		return err
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	if value != nil {
		for key, l := range d.logs {
			if l.settled.Load() {
				entries[key] = value(l)
			}
		}
	}
	file := appendOffsets(nil, entries)
	d.mu.Unlock()
	if err := replaceFile(d.fs, filepath.Join(d.path, name), file); err != nil {
		return d.checkpointFailed(err)
	}
	return d.checkpointFailed(d.fs.SyncDir(d.path))
}

// checkpointFailed: a checkpoint that cannot be written promises nothing new, so a full disk is no
// reason to give the dir up; other errors are.
func (d *Dir) checkpointFailed(err error) error {
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		d.fail(err)
	}
	return err
}

// CheckpointHighWatermarks writes replication-offset-checkpoint durably; highWatermark is asked
// about every open log, without any lock held.
func (d *Dir) CheckpointHighWatermarks(highWatermark func(*Log) int64) error {
	highs := make(map[*Log]int64)
	for _, l := range d.settled() {
		highs[l] = highWatermark(l)
	}
	return d.writeOffsets(highWatermarkFile, d.highs, func(l *Log) int64 { return highs[l] })
}

// Checkpoint syncs every log of the dir and writes recovery-point-offset-checkpoint and
// log-start-offset-checkpoint. It waits for the device. The dir also does it by itself, on its
// worker, when UncheckedBytesMax is near.
func (d *Dir) Checkpoint() error {
	covered := d.unchecked.Load()
	for _, l := range d.settled() {
		// One that was closed since the listing has seen to itself.
		if err := l.checkpoint(); err != nil && !errors.Is(err, errClosed) {
			return err
		}
	}
	d.unchecked.Add(-covered)
	if err := d.writeRecoveryPoints(); err != nil {
		return err
	}
	return d.CommitStartOffsets()
}

// CommitStartOffsets makes start offsets moved by AdvanceStartOffset or ApplyRetention durable, and
// then deletes the segments that lie wholly below them. The broker calls it once per DeleteRecords
// request, and after a retention pass. A call that finds another under way waits for it: nil means
// that every start offset raised before the call is on the device, whoever wrote it.
func (d *Dir) CommitStartOffsets() error {
	d.committing.Lock()
	defer d.committing.Unlock()
	if !d.startsDirty.Swap(false) {
		return nil
	}
	err := d.commitStarts()
	if err != nil {
		d.startsDirty.Store(true)
	}
	return err
}

// commitStarts needs committing.
func (d *Dir) commitStarts() error {
	logs := d.settled()
	starts := make([]int64, len(logs))
	for i, l := range logs {
		start, err := l.prepareStart()
		if err != nil {
			return err
		}
		starts[i] = start
	}
	if err := d.writeStartOffsets(); err != nil {
		return err
	}
	for i, l := range logs {
		if err := l.removeObsolete(starts[i]); err != nil {
			return err
		}
	}
	return nil
}

// producerExpiryEveryMs is how often Tick looks for idle producers (Kafka's
// producer.id.expiration.check.interval.ms is ten minutes).
const producerExpiryEveryMs = 600_000

// Tick does what is due at nowMs: removes .deleted files whose delay is over, syncs logs whose
// flush.ms has passed, expires producers. Call it about once a second, not on a reactor.
func (d *Dir) Tick(nowMs int64) {
	d.removeDue(nowMs)
	d.mu.Lock()
	expire := nowMs-d.expiredMs >= producerExpiryEveryMs
	if expire {
		d.expiredMs = nowMs
	}
	d.mu.Unlock()
	for _, l := range d.settled() {
		l.tick(nowMs, expire)
	}
}

func (l *Log) tick(nowMs int64, expire bool) {
	c := l.config.Load()
	l.lock()
	since := l.dirtySinceMs
	if expire {
		l.producers.expire(nowMs, c.ProducerIDExpirationMs)
		l.verifying.expire(nowMs, c.ProducerIDExpirationMs)
	}
	l.unlock()
	if since > 0 && c.FlushMs < 1<<63-1 && nowMs-since >= c.FlushMs {
		_, _ = l.Flush() // A failure has put the dir out of service already.
	}
}

// removeLater schedules a file, or a directory, for removal.
func (d *Dir) removeLater(path string, delayMs int64) {
	d.mu.Lock()
	d.doomed = append(d.doomed, doomed{path: path, dueMs: d.nowMs() + delayMs})
	d.mu.Unlock()
}

func (d *Dir) removeDue(nowMs int64) {
	d.mu.Lock()
	var due []doomed
	kept := d.doomed[:0]
	for _, gone := range d.doomed {
		if gone.dueMs <= nowMs {
			due = append(due, gone)
		} else {
			kept = append(kept, gone)
		}
	}
	d.doomed = kept
	d.mu.Unlock()
	for _, gone := range due {
		d.removeAll(gone.path)
	}
}

// removeAll unlinks a file or a directory with its files. What fails is left for the next start,
// which finds it by its name.
func (d *Dir) removeAll(path string) {
	info, err := d.fs.Stat(path)
	if err != nil {
		return
	}
	if info.IsDir() {
		entries, err := d.fs.ReadDir(path)
		if err != nil {
			return
		}
		for _, entry := range entries {
			_ = d.fs.Remove(filepath.Join(path, entry.Name()))
		}
	}
	_ = d.fs.Remove(path)
}

// doomLeftovers schedules directories whose deletion a crash interrupted.
func (d *Dir) doomLeftovers() error {
	entries, err := d.fs.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() && strings.HasSuffix(entry.Name(), deleteDirSuffix) {
			d.removeLater(filepath.Join(d.path, entry.Name()), 0)
		}
	}
	return nil
}

// Delete closes the log, renames its directory to <topic>-<partition>.<uuid>-delete at once, and
// removes it after file.delete.delay.ms. The name is free again when it returns.
func (d *Dir) Delete(l *Log) error {
	delayMs := l.config.Load().FileDeleteDelayMs
	if err := l.Close(false); err != nil {
		return err
	}
	return d.deleteDir(l.topic, l.partition, delayMs)
}

// DeleteFound deletes a partition directory that was never opened (a topic deleted meanwhile).
func (d *Dir) DeleteFound(f FoundLog) error {
	return d.deleteDir(f.Topic, f.Partition, 0)
}

func (d *Dir) deleteDir(topic string, partition int32, delayMs int64) error {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	suffix := fmt.Sprintf("-%d.%s%s", partition, hex.EncodeToString(id), deleteDirSuffix)
	from := filepath.Join(d.path, logDirName(topic, partition))
	to := filepath.Join(d.path, topic[:min(len(topic), nameBytesMax-len(suffix))]+suffix)
	if err := d.fs.Rename(from, to); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	d.removeLater(to, delayMs)
	return nil
}
