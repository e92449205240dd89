// Package journal keeps the metadata change log durable: an append-only file of checksummed
// entries beside a snapshot that bounds its length. It stores bytes; what they mean is
// engine/catalog's business. A raft log will take this package's place when there is a quorum,
// carrying the same entries.
//
// # Files
//
// All numbers are big endian. N is a 20-digit index.
//
//	N.journal   entries N, N+1, … in order
//	N.snapshot  the state after entry N
//	*.tmp       a snapshot being written; ignored and removed at open
//
//	entry     ┌──────────┬──────────┬──────────┬─────────────┐
//	          │ length 4 │ crc32c 4 │ index  8 │ payload …   │   crc over index and payload
//	          └──────────┴──────────┴──────────┴─────────────┘   length counts the payload only
//	snapshot  one entry whose index is N
//
// # Invariants
//
//   - Append returns nil only after the entry is durable (fdatasync), and one entry is in flight at
//     a time. A crash can therefore damage at most the last entry of the newest journal.
//   - A damaged last entry was never acknowledged: it is cut at open. A damaged entry that valid
//     entries follow is corruption of acknowledged data: Open refuses, for a person to look at it.
//   - A snapshot is written aside, synced, renamed and its folder synced before anything that it
//     replaces is removed.
//   - After a failed sync nothing more is written: the page cache may have dropped what the file
//     seems to hold, so only a restart, which reads what is really there, may go on.
//   - No journal file grows past what Open is willing to read: where snapshots keep failing, the
//     journal goes on in a further file.
package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sluice/pagecache"
)

const (
	headerBytes = 16
	// EntryBytesMax bounds one entry, so that a damaged length cannot ask for absurd memory.
	EntryBytesMax = 64 << 20
	// SnapshotBytesMax bounds a snapshot. A million partitions take less than a tenth of it.
	SnapshotBytesMax = 1 << 30
	// SnapshotEveryBytes is the journal length at which NeedsSnapshot turns true: replaying it
	// takes a few milliseconds.
	SnapshotEveryBytes = 4 << 20
	// fileBytesMax bounds one journal file, which Open reads as a whole.
	fileBytesMax = 2 * EntryBytesMax
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	// ErrBroken is returned, together with its cause, by the call whose failed sync leaves in doubt
	// what the disk holds, and by every call after it.
	ErrBroken = errors.New("metadata journal is broken by an I/O error; restart to recover")
	// ErrCorrupt is returned by Open when acknowledged entries are damaged.
	ErrCorrupt = errors.New("metadata journal is corrupt")
)

// Journal is one open change log. It is not safe for concurrent use: the metadata store
// serialises changes anyway.
type Journal struct {
	fsys    pagecache.FS
	dir     string
	file    pagecache.File
	size    int64  // bytes of valid entries in file
	last    uint64 // index of the newest durable entry, 0 when there is none
	broken  bool
	scratch []byte
	// grownBytes counts what was appended since a snapshot was last tried.
	grownBytes int64
	// The bounds; tests set smaller ones.
	fileBytesMax, snapshotBytesMax int64
}

// Open reads dir (creating it) and calls snapshot at most once, then entry for each later entry in
// order. The slices are lent for the call. It returns a journal ready to append.
func Open(fsys pagecache.FS, dir string,
	snapshot func(index uint64, payload []byte) error,
	entry func(index uint64, payload []byte) error,
) (*Journal, error) {
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := fsys.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, err
	}
	j := newJournal(fsys, dir)
	found, err := j.list()
	if err != nil {
		return nil, err
	}
	if err := j.removeLeftovers(found); err != nil {
		return nil, err
	}
	if err := j.loadSnapshot(found.snapshots, snapshot); err != nil {
		return nil, err
	}
	if err := j.replay(found.journals, entry); err != nil {
		j.Close()
		return nil, err
	}
	if j.file == nil {
		if err := j.start(j.last + 1); err != nil {
			return nil, err
		}
	}
	return j, nil
}

func newJournal(fsys pagecache.FS, dir string) *Journal {
	return &Journal{
		fsys: fsys, dir: dir, fileBytesMax: fileBytesMax, snapshotBytesMax: SnapshotBytesMax,
	}
}

// Holds reports whether dir has a journal with anything in it, and changes nothing. A journal in
// which only the very first entry was torn by a crash holds nothing; one that Open would refuse as
// corrupt holds something.
func Holds(fsys pagecache.FS, dir string) (bool, error) {
	j := newJournal(fsys, dir)
	found, err := j.list()
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(found.snapshots) > 0 {
		return true, nil
	}
	for _, first := range found.journals {
		data, err := j.readFile(j.path(first, journalSuffix), fileBytesMax)
		if err != nil {
			return false, err
		}
		if _, _, ok := parseEntry(data, first, EntryBytesMax); ok || first > 1 || followed(data, first) {
			return true, nil
		}
	}
	return false, nil
}

// Last is the index of the newest durable entry, 0 when there is none.
func (j *Journal) Last() uint64 { return j.last }

// NeedsSnapshot reports whether the journal has grown enough to be worth a snapshot. After one that
// failed it must grow as much again, so that not every change pays for another failure.
func (j *Journal) NeedsSnapshot() bool { return j.grownBytes >= SnapshotEveryBytes }

// Append makes payload durable as the next entry and returns its index. On an error the entry is
// cut away again where that is possible; where it is not the journal is broken, and the error is an
// ErrBroken.
func (j *Journal) Append(payload []byte) (uint64, error) {
	if j.broken {
		return 0, ErrBroken
	}
	if len(payload) > EntryBytesMax {
		return 0, fmt.Errorf("metadata entry of %d bytes is over %d", len(payload), EntryBytesMax)
	}
	index := j.last + 1
	j.scratch = appendEntry(j.scratch[:0], index, payload)
	if j.size > 0 && j.size+int64(len(j.scratch)) > j.fileBytesMax {
		if err := j.roll(); err != nil {
			return 0, fmt.Errorf("metadata journal: %w", err)
		}
	}
	if _, err := j.file.WriteAt(j.scratch, j.size); err != nil {
		return 0, fmt.Errorf("metadata journal: %w", j.cutBack(err))
	}
	if err := j.file.Sync(); err != nil {
		return 0, j.breakDown(err)
	}
	j.size += int64(len(j.scratch))
	j.grownBytes += int64(len(j.scratch))
	j.last = index
	return index, nil
}

// cutBack removes what a failed write (a full disk, typically) left of an entry. It returns the
// write's error.
func (j *Journal) cutBack(cause error) error {
	if err := j.file.Truncate(j.size); err != nil {
		return errors.Join(j.breakDown(err), cause)
	}
	if err := j.file.Sync(); err != nil {
		return errors.Join(j.breakDown(err), cause)
	}
	return cause
}

// breakDown ends the journal's use until a restart.
func (j *Journal) breakDown(cause error) error {
	j.broken = true
	return fmt.Errorf("%w: %w", ErrBroken, cause)
}

// roll goes on in a further file.
func (j *Journal) roll() error {
	old := j.file
	if err := j.start(j.last + 1); err != nil {
		return err
	}
	old.Close()
	return nil
}

// Snapshot makes payload, the state after the newest entry, durable and starts a new journal.
// On an error the old files stay in force.
func (j *Journal) Snapshot(payload []byte) error {
	if j.broken {
		return ErrBroken
	}
	j.grownBytes = 0
	if int64(len(payload)) > j.snapshotBytesMax {
		return fmt.Errorf("metadata snapshot of %d bytes is over %d", len(payload), j.snapshotBytesMax)
	}
	if err := j.writeSnapshot(payload); err != nil {
		return err
	}
	if err := j.roll(); err != nil {
		return err
	}
	return j.removeBefore(j.last)
}

func (j *Journal) writeSnapshot(payload []byte) error {
	final := j.path(j.last, snapshotSuffix)
	f, err := j.fsys.Open(final+tmpSuffix, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(appendEntry(nil, j.last, payload), 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = j.fsys.Rename(final+tmpSuffix, final)
	}
	if err != nil {
		// On a full disk the leftover would hold on to space that the journal needs.
		_ = j.fsys.Remove(final + tmpSuffix)
		return err
	}
	return j.fsys.SyncDir(j.dir)
}

// start creates the journal file whose first entry will be index.
func (j *Journal) start(index uint64) error {
	f, err := j.fsys.Open(j.path(index, journalSuffix), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if err := j.fsys.SyncDir(j.dir); err != nil {
		f.Close()
		// An empty newest journal would make the older one, still appended to, look finished.
		if undo := errors.Join(j.fsys.Remove(f.Name()), j.fsys.SyncDir(j.dir)); undo != nil {
			return errors.Join(j.breakDown(undo), err)
		}
		return err
	}
	j.file, j.size = f, 0
	return nil
}

// removeBefore removes files that the snapshot at index replaces.
func (j *Journal) removeBefore(index uint64) error {
	found, err := j.list()
	if err != nil {
		return err
	}
	for _, n := range found.snapshots {
		if n < index {
			err = errors.Join(err, j.fsys.Remove(j.path(n, snapshotSuffix)))
		}
	}
	for _, n := range found.journals {
		if n <= index {
			err = errors.Join(err, j.fsys.Remove(j.path(n, journalSuffix)))
		}
	}
	return err
}

// Close closes the file; everything appended is already durable.
func (j *Journal) Close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	j.broken = true
	return err
}

const (
	journalSuffix  = ".journal"
	snapshotSuffix = ".snapshot"
	tmpSuffix      = ".tmp"
)

func (j *Journal) path(index uint64, suffix string) string {
	return filepath.Join(j.dir, fmt.Sprintf("%020d", index)+suffix)
}

type listing struct {
	snapshots, journals []uint64
	leftovers           []string // names
}

// list returns the indexes of both kinds of files in ascending order, and what unfinished snapshots
// left behind.
func (j *Journal) list() (listing, error) {
	var l listing
	entries, err := j.fsys.ReadDir(j.dir)
	if err != nil {
		return l, err
	}
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasSuffix(name, tmpSuffix):
			l.leftovers = append(l.leftovers, name)
		case strings.HasSuffix(name, snapshotSuffix):
			l.snapshots = appendIndex(l.snapshots, strings.TrimSuffix(name, snapshotSuffix))
		case strings.HasSuffix(name, journalSuffix):
			l.journals = appendIndex(l.journals, strings.TrimSuffix(name, journalSuffix))
		}
	}
	return l, nil
}

func (j *Journal) removeLeftovers(found listing) error {
	for _, name := range found.leftovers {
		if err := j.fsys.Remove(filepath.Join(j.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func appendIndex(to []uint64, digits string) []uint64 {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || len(digits) != 20 {
		return to
	}
	return append(to, n)
}

func (j *Journal) loadSnapshot(indexes []uint64, apply func(uint64, []byte) error) error {
	if len(indexes) == 0 {
		return nil
	}
	index := indexes[len(indexes)-1]
	data, err := j.readFile(j.path(index, snapshotSuffix), SnapshotBytesMax+headerBytes)
	if err != nil {
		return err
	}
	payload, rest, ok := parseEntry(data, index, SnapshotBytesMax)
	if !ok || len(rest) != 0 {
		return fmt.Errorf("%w: snapshot %s", ErrCorrupt, j.path(index, snapshotSuffix))
	}
	if err := apply(index, payload); err != nil {
		return fmt.Errorf("metadata snapshot %d: %w", index, err)
	}
	j.last = index
	return nil
}

// replay applies the journals in order. Only the newest may end in a damaged entry.
func (j *Journal) replay(journals []uint64, apply func(uint64, []byte) error) error {
	for i, first := range journals {
		newest := i == len(journals)-1
		if first > j.last+1 {
			return fmt.Errorf("%w: entries %d to %d are missing", ErrCorrupt, j.last+1, first-1)
		}
		path := j.path(first, journalSuffix)
		valid, err := j.replayFile(path, first, newest, apply)
		if err != nil {
			return err
		}
		if newest {
			return j.adopt(path, valid)
		}
	}
	return nil
}

func (j *Journal) replayFile(path string, first uint64, newest bool,
	apply func(uint64, []byte) error,
) (valid int64, err error) {
	data, err := j.readFile(path, fileBytesMax)
	if err != nil {
		return 0, err
	}
	for rest, index := data, first; len(rest) > 0; index++ {
		payload, next, ok := parseEntry(rest, index, EntryBytesMax)
		if !ok {
			if !newest || followed(rest, index) {
				return 0, fmt.Errorf("%w: %s at position %d", ErrCorrupt, path, len(data)-len(rest))
			}
			break
		}
		if index == j.last+1 {
			if err := apply(index, payload); err != nil {
				return 0, fmt.Errorf("metadata entry %d: %w", index, err)
			}
			j.last = index
		}
		rest = next
		valid = int64(len(data) - len(rest))
	}
	j.grownBytes += valid
	return valid, nil
}

// adopt opens the newest journal for appending and cuts a damaged tail, durably: what was cut
// must not come back behind the entries that follow.
func (j *Journal) adopt(path string, valid int64) error {
	f, err := j.fsys.Open(path, os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	j.file, j.size = f, valid
	size, err := f.Size()
	if err == nil && size != valid {
		err = f.Truncate(valid)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fsys.SyncDir(j.dir)
	}
	return err
}

func (j *Journal) readFile(path string, bytesMax int64) ([]byte, error) {
	f, err := j.fsys.Open(path, os.O_RDONLY, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > bytesMax {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrCorrupt, path, size)
	}
	data := make([]byte, size)
	if _, err := f.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

func appendEntry(dst []byte, index uint64, payload []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, index)
	dst = append(dst, payload...)
	crc := crc32.Checksum(dst[start+8:], castagnoli)
	binary.BigEndian.PutUint32(dst[start+4:], crc)
	return dst
}

// parseEntry returns the payload of the entry at the start of data if it is whole, undamaged and
// carries index, and its payload is within bytesMax.
func parseEntry(data []byte, index uint64, bytesMax int64) (payload, rest []byte, ok bool) {
	if len(data) < headerBytes {
		return nil, nil, false
	}
	length := int64(binary.BigEndian.Uint32(data))
	if length > bytesMax || int64(len(data)) < headerBytes+length {
		return nil, nil, false
	}
	end := headerBytes + length
	if binary.BigEndian.Uint64(data[8:]) != index ||
		crc32.Checksum(data[8:end], castagnoli) != binary.BigEndian.Uint32(data[4:]) {
		return nil, nil, false
	}
	return data[headerBytes:end], data[end:], true
}

// followed reports whether any later entry stands behind the damaged one at the start of data.
// Since an entry is synced before the next is written, that cannot come from a crash.
func followed(data []byte, damaged uint64) bool {
	for p := 1; p+headerBytes <= len(data); p++ {
		index := binary.BigEndian.Uint64(data[p+8:])
		if index <= damaged || index > damaged+uint64(len(data)) {
			continue
		}
		if _, _, ok := parseEntry(data[p:], index, EntryBytesMax); ok {
			return true
		}
	}
	return false
}
