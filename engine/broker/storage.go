package broker

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sluice/engine/broker/journal"
	"sluice/engine/catalog"
	"sluice/engine/partition"
	"sluice/pagecache"
)

// metadataFolder is where the metadata journal lies, in the first log dir or metadata.log.dir.
const metadataFolder = "sluice-metadata"

// reserveBudgetDefault bounds, for the whole process, the disk space reserved ahead of appends.
const reserveBudgetDefault = 1 << 30

// openStorage opens metadata, log dirs and logs, in this order: only the metadata can tell what
// the dirs should hold. Whatever speaks against starting is found before anything is changed.
func (b *Broker) openStorage() error {
	if err := b.guardMetadata(); err != nil {
		return err
	}
	if err := b.openMetadata(); err != nil {
		return err
	}
	if err := b.nameSelf(); err != nil {
		return err
	}
	if err := b.openDirs(); err != nil {
		return err
	}
	logs, err := b.findLogs()
	if err != nil {
		return err
	}
	if err := b.nameCluster(); err != nil {
		return err
	}
	if err := b.register(nil, true); err != nil {
		return err
	}
	if err := b.raiseEpochs(); err != nil {
		return err
	}
	b.setAside(logs.strays)
	b.openLogs(logs.found)
	b.meta.act = b.act
	return nil
}

func (b *Broker) metadataPath() string { return filepath.Join(b.cfg.MetadataDir, metadataFolder) }

// metadataDirIsSet says that metadata.log.dir is in force, and not the first log dir.
func (b *Broker) metadataDirIsSet() bool {
	_, set := b.cfg.Static["metadata.log.dir"]
	return set
}

// guardMetadata refuses to begin new metadata beside logs of an earlier run. With log.dirs in another
// order, or without the disk that held the metadata, every topic would be unknown and every log
// set aside. It changes nothing.
func (b *Broker) guardMetadata() error {
	held, err := journal.Holds(b.env.FS, b.metadataPath())
	if err != nil {
		return b.metadataDirError(err)
	}
	if held {
		return nil
	}
	var used, elsewhere []string
	for _, dir := range b.cfg.LogDirs {
		has, err := b.hasPartitions(dir)
		if err != nil {
			return fmt.Errorf("log dir %s: %w", dir, plain(err))
		}
		if has {
			used = append(used, dir)
		}
		held, err := journal.Holds(b.env.FS, filepath.Join(dir, metadataFolder))
		if err != nil {
			return fmt.Errorf("log dir %s: %w", dir, plain(err))
		}
		if held {
			elsewhere = append(elsewhere, dir)
		}
	}
	if len(used) == 0 && len(elsewhere) == 0 {
		return nil
	}
	why := "log dirs were in use: " + strings.Join(elsewhere, ", ")
	if len(used) > 0 {
		why = "partitions lie in " + strings.Join(used, ", ")
	}
	return fmt.Errorf("there is no metadata in %s, but %s; %s", b.metadataPath(), why,
		b.metadataHint(elsewhere))
}

// metadataHint says where the metadata is, as far as one can tell, and what to set.
func (b *Broker) metadataHint(elsewhere []string) string {
	switch {
	case len(elsewhere) == 1 && !b.metadataDirIsSet():
		dir := elsewhere[0]
		return fmt.Sprintf("the metadata is in %s: name %s first in log.dirs, or set "+
			"metadata.log.dir=%s", filepath.Join(dir, metadataFolder), dir, dir)
	case len(elsewhere) > 0:
		return fmt.Sprintf("metadata was found in %s: set metadata.log.dir to the one to use",
			strings.Join(elsewhere, ", "))
	default:
		return "bring back the dir that held the metadata and name it first in log.dirs or as " +
			"metadata.log.dir, or move the partitions away to start an empty broker"
	}
}

// hasPartitions reports whether a log dir, not opened yet, holds any partition's directory.
func (b *Broker) hasPartitions(dir string) (bool, error) {
	entries, err := b.env.FS.ReadDir(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		at := strings.LastIndexByte(e.Name(), '-')
		if at <= 0 || !e.IsDir() {
			return false
		}
		_, err := strconv.ParseUint(e.Name()[at+1:], 10, 31)
		return err == nil
	}), nil
}

// openMetadata locks the metadata's dir and replays the journal.
func (b *Broker) openMetadata() error {
	if err := makeDir(b.env.FS, b.cfg.MetadataDir); err != nil {
		return b.metadataDirError(err)
	}
	lock, err := b.env.FS.Lock(filepath.Join(b.cfg.MetadataDir, ".lock"))
	if err != nil {
		return b.metadataDirError(err)
	}
	b.metaLock = lock.Close
	meta, err := openMetadata(b.env.FS, b.metadataPath(), b.log, b.fail)
	if err != nil {
		return fmt.Errorf("metadata in %s: %w", b.metadataPath(), plain(err))
	}
	b.meta = meta
	if !b.isLogDir(b.cfg.MetadataDir) {
		return nil
	}
	// The log dir takes the same lock. Should another broker come in between, opening the dir
	// fails before anything more is written.
	b.metaLock = nil
	return lock.Close()
}

// metadataDirError names the dir as the configuration does.
func (b *Broker) metadataDirError(err error) error {
	key := "metadata.log.dir"
	if b.isLogDir(b.cfg.MetadataDir) {
		key = "log dir"
	}
	return fmt.Errorf("%s %s: %w", key, b.cfg.MetadataDir, plain(err))
}

func (b *Broker) isLogDir(path string) bool {
	return slices.ContainsFunc(b.cfg.LogDirs, func(dir string) bool {
		return filepath.Clean(dir) == filepath.Clean(path)
	})
}

// makeDir makes a directory and its parents, and the names of those that it made durable.
func makeDir(fsys pagecache.FS, path string) error {
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
	return nil
}

// nameSelf settles the cluster id: the metadata's, or else the configured one, or the one that a log
// dir was made for, or a new one. Log dirs are made for that cluster, so a new id may only be drawn
// where there is no other.
func (b *Broker) nameSelf() error {
	id := b.image().ClusterID()
	if id != "" && b.cfg.ClusterID != "" && id != b.cfg.ClusterID {
		return fmt.Errorf("cluster.id=%s, but the metadata in %s is of cluster %s",
			b.cfg.ClusterID, b.metadataPath(), id)
	}
	if id == "" {
		id = b.cfg.ClusterID
	}
	for _, dir := range b.cfg.LogDirs {
		if id == "" {
			id = b.clusterIDIn(filepath.Join(dir, "meta.properties"))
		}
	}
	if id == "" {
		random := b.newUUID()
		id = base64.RawURLEncoding.EncodeToString(random[:])
	}
	b.clusterID = id
	return nil
}

func (b *Broker) clusterIDIn(path string) string {
	f, err := b.env.FS.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 4096))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "cluster.id="); ok {
			return id
		}
	}
	return ""
}

// openDirs locks and opens every log dir. All must open at the start: a dir that is missing then
// is more likely a mistake than a failed disk.
func (b *Broker) openDirs() error {
	budget := pagecache.NewBudget(reserveBudgetDefault)
	for _, path := range b.cfg.LogDirs {
		d := &logDir{path: path}
		options := partition.DirOptions{
			FS: b.env.FS, Path: path, ClusterID: b.clusterID, NodeID: b.nodeID,
			DirectoryID: b.newUUID(), NowMs: b.env.NowMs, Jitter: b.jitter,
			OnFailure: func(_ *partition.Dir, err error) { b.dirFailed(d, err) },
			Reserve:   budget,
		}
		if b.env.Gate != nil {
			options.Gate = b.env.Gate()
		}
		dir, err := partition.OpenDir(options)
		if err != nil {
			return fmt.Errorf("log dir %s: %w", path, plain(err))
		}
		d.dir, d.id = dir, dir.DirectoryID()
		b.dirs = append(b.dirs, d)
	}
	return nil
}

func (b *Broker) jitter(n int64) int64 {
	if n <= 0 {
		return 0
	}
	return (int64(b.sessionID())<<31 | int64(b.sessionID())) % n
}

// plain turns the commonest causes into words.
func plain(err error) error {
	switch {
	case errors.Is(err, pagecache.ErrLocked):
		return fmt.Errorf("in use by another broker (its .lock is held): %w", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("not writable by this user: %w", err)
	default:
		return err
	}
}

// nameCluster begins an empty image.
func (b *Broker) nameCluster() error {
	if b.image().ClusterID() != "" {
		return nil
	}
	return b.change(func(im *catalog.Image) []catalog.Change {
		return catalog.NameCluster(im, b.clusterID)
	})
}
