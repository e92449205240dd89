package partition

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"

	"sluice/pagecache"
)

// The defaults of DirOptions.
const (
	// uncheckedBytesMaxDefault is a second or two of reading after a power cut. A checkpoint syncs
	// every log of the dir, so at a quarter of it a producer at full speed would have the device
	// sync many times a second what memory could have taken.
	uncheckedBytesMaxDefault = 2 << 30
	queueBytesMaxDefault     = 64 << 20
)

// DirOptions opens one log dir.
type DirOptions struct {
	// FS is the file system, pagecache.OS in production. Path is the log dir, created if absent.
	FS   pagecache.FS
	Path string
	// ClusterID, NodeID and DirectoryID go to a new meta.properties. An existing file must agree
	// on the first two, an empty ClusterID agreeing with any; its directory.id wins.
	ClusterID   string
	NodeID      int32
	DirectoryID [16]byte
	// NowMs is the wall clock in Unix milliseconds.
	NowMs func() int64
	// Jitter returns a number in [0, n), for segment.jitter.ms; nil means no jitter.
	Jitter func(n int64) int64
	// OnFailure is called once, on a goroutine of its own, when the dir has failed: an I/O error
	// that leaves its contents in doubt. Every log in it answers KAFKA_STORAGE_ERROR from then on;
	// other dirs are not concerned.
	OnFailure func(d *Dir, err error)
	// Reserve is the process-wide budget for space reserved ahead; nil reserves nothing.
	Reserve *pagecache.Budget
	// UncheckedBytesMax bounds the bytes that a restart has to check; 0 means 2 GiB.
	UncheckedBytesMax int64
	// QueueBytesMax bounds the bytes that wait in one log's append queue; 0 means 64 MiB. An
	// append beyond it is refused at once with REQUEST_TIMED_OUT, which clients retry.
	QueueBytesMax int64
	// Gate replaces the dir's append gate in tests; nil means a new one.
	Gate *pagecache.Gate

	// manual makes background work run only where a test asks for it; mutants are seeded bugs that
	// the crash exploration must find.
	manual  bool
	mutants mutants
}

// mutants are bugs that tests switch on one at a time, to prove that the exploration of crashes
// would notice them. All are off in production.
type mutants struct {
	// skipSync leaves out fdatasync of segments, skipSyncDir fsync of the partition's directory.
	skipSync    bool
	skipSyncDir bool
	// skipSyncAborted leaves out fdatasync of transaction indexes.
	skipSyncAborted bool
	// skipCutTail leaves what a failed append wrote behind the end.
	skipCutTail bool
	// lateRecoveryPoint truncates without lowering the recovery point on disk first.
	lateRecoveryPoint bool
	// earlyRecoveryPoint writes the recovery point for everything appended, synced or not.
	earlyRecoveryPoint bool
	// unsyncedClean gives cleaned segments their names before their contents are synced, hastyClean
	// sets the old ones aside before those names are durable, staleRecoveryClean cleans above the
	// recovery point on disk.
	unsyncedClean      bool
	hastyClean         bool
	staleRecoveryClean bool
	// alwaysCopy is no bug: it makes every truncation copy the kept part.
	alwaysCopy bool
}

// Dir is one log dir: its lock, identity, checkpoints, clean marker, gate and background workers,
// and the logs open in it. Its methods may be called concurrently.
type Dir struct {
	fs        pagecache.FS
	path      string
	identity  identity
	nowMs     func() int64
	jitter    func(int64) int64
	onFailure func(*Dir, error)
	reserve   *pagecache.Budget
	gate      *pagecache.Gate
	// worker does the logs' chores, syncer what waits long for the device.
	worker, syncer    *pagecache.Worker
	checkpointTask    pagecache.Task
	uncheckedBytesMax int64
	queueBytesMax     int64
	mutants           mutants
	held              io.Closer
	wasClean          bool
	brokerEpoch       int64

	// failed publishes failure.
	failed  atomic.Bool
	failure atomic.Pointer[error]
	// unchecked counts bytes appended since the last checkpoint began.
	unchecked atomic.Int64
	// startsDirty says that a start offset has moved since log-start-offset-checkpoint was written.
	// Only the holder of committing clears it, and sets it again when writing fails before anybody
	// else can look.
	startsDirty atomic.Bool
	// committing serialises CommitStartOffsets; taken before any log's locks.
	committing sync.Mutex
	readErrors atomic.Int64

	// naming guards namesDirty, which says that a partition's directory was made or found since the
	// dir was last synced. It is held while syncing, so that nobody takes a name for durable early.
	naming     sync.Mutex
	namesDirty bool
	// writing serialises writing the checkpoint files; taken before mu, after any log's locks.
	writing sync.Mutex
	// mu guards the fields below.
	mu   sync.Mutex
	logs map[logKey]*Log
	// recovery, starts and highs are the checkpoint files' contents as last read or written.
	recovery, starts, highs map[logKey]int64
	// cleaned is cleaner-offset-checkpoint's.
	cleaned   map[logKey]int64
	doomed    []doomed
	expiredMs int64
}

// doomed is a file, or a directory with its files, to be unlinked at dueMs.
type doomed struct {
	path  string
	dueMs int64
}

// FoundLog is one partition directory that OpenDir found.
type FoundLog struct {
	Topic     string
	Partition int32
	// TopicID is zero when partition.metadata is missing or torn.
	TopicID [16]byte
}

// OpenDir locks the dir, reads its identity and checkpoints, removes the clean marker after
// noting it, and finishes deletions that a crash interrupted. errors.Is(err, pagecache.ErrLocked)
// says that another process has the dir.
func OpenDir(o DirOptions) (*Dir, error) {
	d := newDir(o)
	if err := makeDurable(d.fs, d.path); err != nil {
		return nil, err
	}
	held, err := d.fs.Lock(filepath.Join(d.path, lockFile))
	if err != nil {
		return nil, err
	}
	d.held = held
	if err := d.load(o); err != nil {
		return nil, errors.Join(fmt.Errorf("log dir %s: %w", d.path, err), held.Close())
	}
	return d, nil
}

// makeDurable makes a directory and its parents, and syncs the names of those that it made: what is
// synced below them could not be found otherwise.
func makeDurable(fsys pagecache.FS, path string) error {
	var made []string
	for dir := filepath.Clean(path); ; dir = filepath.Dir(dir) {
		if _, err := fsys.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			break
		}
		made = append(made, dir)
	}
	if err := fsys.MkdirAll(path, 0o755); err != nil {
		return err
	}
	for _, dir := range made {
		if err := fsys.SyncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	if len(made) == 0 {
		// A run that was killed may have made it. Where we may not sync what is above an existing
		// log dir, whoever made it there has to answer for it.
		_ = fsys.SyncDir(filepath.Dir(filepath.Clean(path)))
	}
	return nil
}

func newDir(o DirOptions) *Dir {
	d := &Dir{
		fs: o.FS, path: o.Path, nowMs: o.NowMs, jitter: o.Jitter, onFailure: o.OnFailure,
		reserve: o.Reserve, gate: o.Gate, uncheckedBytesMax: o.UncheckedBytesMax,
		queueBytesMax: o.QueueBytesMax, mutants: o.mutants, brokerEpoch: -1,
		logs: make(map[logKey]*Log), worker: pagecache.NewWorker(), syncer: pagecache.NewWorker(),
	}
	if o.manual {
		d.worker, d.syncer = pagecache.NewManualWorker(), pagecache.NewManualWorker()
	}
	if d.gate == nil {
		d.gate = pagecache.NewGate(pagecache.GateOptions{})
	}
	if d.uncheckedBytesMax == 0 {
		d.uncheckedBytesMax = uncheckedBytesMaxDefault
	}
	if d.queueBytesMax == 0 {
		d.queueBytesMax = queueBytesMaxDefault
	}
	d.checkpointTask.Run = func() { _ = d.Checkpoint() }
	return d
}

// Path is the log dir's path.
func (d *Dir) Path() string { return d.path }

// DirectoryID is the dir's directory.id (KIP-858).
func (d *Dir) DirectoryID() [16]byte { return d.identity.directoryID }

// ClusterID is the cluster that the dir belongs to, as meta.properties has it.
func (d *Dir) ClusterID() string { return d.identity.clusterID }

// Gate is the dir's append gate, for metrics.
func (d *Dir) Gate() *pagecache.Gate { return d.gate }

// Clean reports whether the last shutdown was clean, and the broker epoch that it recorded (-1 for
// none, KIP-966).
func (d *Dir) Clean() (clean bool, brokerEpoch int64) { return d.wasClean, d.brokerEpoch }

// Space reports the free and total bytes of the dir's file system.
func (d *Dir) Space() (free, total int64, err error) { return d.fs.Space(d.path) }

// Err is nil until the dir has failed.
func (d *Dir) Err() error { return d.err() }

// ReadErrors counts reads that the device failed.
func (d *Dir) ReadErrors() int64 { return d.readErrors.Load() }

func (d *Dir) err() error {
	if p := d.failure.Load(); p != nil {
		return *p
	}
	return nil
}

// fail gives the dir up: nothing in it is acknowledged any more.
func (d *Dir) fail(err error) {
	if err == nil || errors.Is(err, errClosed) || !d.failure.CompareAndSwap(nil, &err) {
		return
	}
	d.failed.Store(true)
	if d.onFailure != nil {
		go d.onFailure(d, err)
	}
}

// noteReadError counts a read that failed. Unlike a failed write it does not put the dir in doubt.
func (d *Dir) noteReadError(*Log, error) { d.readErrors.Add(1) }

// addUnchecked counts appended bytes and asks for a checkpoint half-way to the bound, so that the
// bound holds while the checkpoint is made.
func (d *Dir) addUnchecked(n int64) {
	half := d.uncheckedBytesMax / 2
	if after := d.unchecked.Add(n); after >= half && after-n < half {
		d.syncer.Post(&d.checkpointTask)
	}
}

func (l *Log) key() logKey { return logKey{l.topic, l.partition} }

func (d *Dir) register(l *Log) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.logs[l.key()] != nil {
		return fmt.Errorf("open %s: log is open already", l.path)
	}
	d.logs[l.key()] = l
	return nil
}

// unregister forgets a log that could not be opened; its checkpoint entries stay as they are.
func (d *Dir) unregister(l *Log) {
	d.mu.Lock()
	delete(d.logs, l.key())
	d.mu.Unlock()
}

// closedLog keeps a closing log's offsets for the checkpoints still to be written.
func (d *Dir) closedLog(l *Log) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.logs[l.key()] == l {
		d.recovery[l.key()], d.starts[l.key()] = l.recoveryPoint(), l.committed.Load()
		delete(d.logs, l.key())
	}
}

// open lists the logs that are open now.
func (d *Dir) open() []*Log {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]*Log, 0, len(d.logs))
	for _, l := range d.logs {
		list = append(list, l)
	}
	sortLogs(list)
	return list
}

// settled lists the open logs whose recovery is over. The others belong to the goroutine that opens
// them: housekeeping that met one would read what recovery writes.
func (d *Dir) settled() []*Log {
	list := d.open()
	kept := list[:0]
	for _, l := range list {
		if l.settled.Load() {
			kept = append(kept, l)
		}
	}
	return kept
}

// Close closes every log still open, and with clean set checkpoints and writes the clean marker
// with brokerEpoch, last of all.
func (d *Dir) Close(clean bool, brokerEpoch int64) error {
	errs := closeAll(d.open(), clean)
	d.gate.Writer().Close()
	d.worker.Close()
	d.syncer.Close()
	if clean && len(errs) == 0 && d.err() == nil {
		errs = append(errs, d.writeStartOffsets(), d.writeRecoveryPoints(),
			d.writeCleanMarker(brokerEpoch))
	}
	errs = append(errs, d.held.Close())
	return errors.Join(errs...)
}

// closersMax bounds the logs that are closed at once. A few are closed in order, which keeps small
// dirs' file operations repeatable; many wait for the device together.
const closersMax = 16

func closeAll(logs []*Log, clean bool) []error {
	closers := 1
	if len(logs) > 2*closersMax {
		closers = closersMax
	}
	results := make([]error, len(logs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range closers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(logs); i = int(next.Add(1)) - 1 {
				results[i] = logs[i].Close(clean)
			}
		})
	}
	wg.Wait()
	var errs []error
	for _, err := range results {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (d *Dir) writeCleanMarker(brokerEpoch int64) error {
	name := filepath.Join(d.path, cleanMarkerFile)
	if err := replaceFile(d.fs, name, cleanMarkerFor(brokerEpoch)); err != nil {
		return err
	}
	return d.fs.SyncDir(d.path)
}

// noteName says that a partition's directory has been made.
func (d *Dir) noteName() {
	d.naming.Lock()
	d.namesDirty = true
	d.naming.Unlock()
}

// syncNames makes the names of all partition directories durable; many new ones cost one sync.
func (d *Dir) syncNames() error {
	d.naming.Lock()
	defer d.naming.Unlock()
	if !d.namesDirty {
		return nil
	}
	if err := d.fs.SyncDir(d.path); err != nil {
		return err
	}
	d.namesDirty = false
	return nil
}

// load reads what the dir says about itself.
func (d *Dir) load(o DirOptions) error {
	if err := d.loadIdentity(o); err != nil {
		return err
	}
	var err error
	if d.recovery, err = d.readOffsets(recoveryPointFile); err != nil {
		return err
	}
	if d.starts, err = d.readOffsets(logStartFile); err != nil {
		return err
	}
	if d.highs, err = d.readOffsets(highWatermarkFile); err != nil {
		return err
	}
	if d.cleaned, err = d.readOffsets(cleanerPointFile); err != nil {
		return err
	}
	if err := d.takeCleanMarker(); err != nil {
		return err
	}
	d.namesDirty = true
	return d.doomLeftovers()
}

func (d *Dir) loadIdentity(o DirOptions) error {
	name := filepath.Join(d.path, metaPropsFile)
	file, err := readFile(d.fs, name)
	if err != nil {
		return err
	}
	d.identity = identity{clusterID: o.ClusterID, nodeID: o.NodeID, directoryID: o.DirectoryID}
	if len(file) > 0 {
		have, err := parseIdentity(file)
		if err != nil {
			return fmt.Errorf("%s: %w", metaPropsFile, err)
		}
		if o.ClusterID != "" && have.clusterID != o.ClusterID || have.nodeID != o.NodeID {
			return fmt.Errorf("%s says cluster %q, node %d; this is cluster %q, node %d",
				metaPropsFile, have.clusterID, have.nodeID, o.ClusterID, o.NodeID)
		}
		if have.directoryID != [16]byte{} {
			d.identity = have
			return nil
		}
		d.identity.clusterID = have.clusterID
	}
	if err := replaceFile(d.fs, name, d.identity.file()); err != nil {
		return err
	}
	return d.fs.SyncDir(d.path)
}

// readOffsets reads a checkpoint. A damaged one counts as empty, which is always safe: a log
// without recovery point is checked whole, one without start offset starts at its first segment.
func (d *Dir) readOffsets(name string) (map[logKey]int64, error) {
	file, err := readFile(d.fs, filepath.Join(d.path, name))
	if err != nil {
		return nil, err
	}
	offsets, err := parseOffsets(file)
	if err != nil {
		return make(map[logKey]int64), nil
	}
	return offsets, nil
}

// takeCleanMarker notes the marker and removes it durably, before anything is written: the next
// start must not take this run's end for a clean one.
func (d *Dir) takeCleanMarker() error {
	name := filepath.Join(d.path, cleanMarkerFile)
	if _, err := d.fs.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	file, err := readFile(d.fs, name)
	if err != nil {
		return err
	}
	d.wasClean, d.brokerEpoch = true, parseCleanMarker(file)
	if err := d.fs.Remove(name); err != nil {
		return err
	}
	return d.fs.SyncDir(d.path)
}
