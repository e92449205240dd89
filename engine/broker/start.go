package broker

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"sluice/engine/catalog"
	"sluice/engine/catalog/config"
	"sluice/engine/partition"
	"sluice/netpoll"
	"sluice/pagecache"
)

// metadataFolder is where the metadata journal lies, in the first log dir or metadata.log.dir.
const metadataFolder = "sluice-metadata"

// reserveBudgetDefault bounds, for the whole process, the disk space reserved ahead of appends.
const reserveBudgetDefault = 1 << 30

// New opens everything that the broker keeps on disk and recovers it. Nothing is reachable yet.
func New(cfg *config.Server, env Environment) (*Broker, error) {
	b := &Broker{
		env: env, cfg: cfg, log: env.Log, nodeID: cfg.NodeID,
		topics: newTopicTable(), fatal: make(chan error, 1),
		fetchBytesMax: int64(cfg.FetchMaxBytes),
		pools:         [2]*controlPool{{max: queryWorkers}, {max: changeWorkers}},
	}
	if err := b.supported(); err != nil {
		return nil, err
	}
	b.metrics = newMetrics(int(cfg.MetricsTopicsMax))
	b.apis = newAPITable(b.metrics)
	b.sessions = newSessionCache(int(cfg.FetchSessionSlots), b.sessionID)
	b.refusals = throttle{period: 10 * time.Second, nowNs: b.nanotime}
	b.refusals.rearm()
	if err := b.openStorage(); err != nil {
		b.closeStorage(false)
		return nil, err
	}
	return b, nil
}

// supported refuses settings that this version cannot honour: better no start than a broken
// promise.
func (b *Broker) supported() error {
	for _, l := range b.cfg.Listeners {
		if l.Protocol != "PLAINTEXT" {
			return fmt.Errorf("listeners: %s uses security protocol %s; this version supports "+
				"PLAINTEXT only", l.Name, l.Protocol)
		}
	}
	if config.Resolve(b.cfg.TopicLayers(nil, nil, nil)).Durability == config.DurabilityDisk {
		return errors.New("log.durability=disk is not available in this version; allowed: pagecache")
	}
	if b.cfg.IOEngine == "io_uring" {
		return errors.New("io.engine=io_uring is not available in this build; allowed: auto, epoll")
	}
	return nil
}

// openStorage opens log dirs, metadata and logs, in this order.
func (b *Broker) openStorage() error {
	if err := b.openDirs(); err != nil {
		return err
	}
	if err := b.lockMetadataDir(); err != nil {
		return err
	}
	meta, err := openMetadata(b.env.FS, filepath.Join(b.cfg.MetadataDir, metadataFolder))
	if err != nil {
		return err
	}
	b.meta = meta
	if err := b.nameCluster(); err != nil {
		return err
	}
	if err := b.register(nil, true); err != nil {
		return err
	}
	if err := b.raiseEpochs(); err != nil {
		return err
	}
	if err := b.openLogs(); err != nil {
		return err
	}
	meta.act = b.act
	return nil
}

// openDirs locks and opens every log dir. All must open at the start: a dir that is missing then
// is more likely a mistake than a failed disk.
func (b *Broker) openDirs() error {
	b.clusterID = b.knownClusterID()
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

// lockMetadataDir locks metadata.log.dir when it is none of the log dirs.
func (b *Broker) lockMetadataDir() error {
	for _, d := range b.dirs {
		if filepath.Clean(d.path) == filepath.Clean(b.cfg.MetadataDir) {
			return nil
		}
	}
	if err := b.env.FS.MkdirAll(b.cfg.MetadataDir, 0o755); err != nil {
		return fmt.Errorf("metadata.log.dir %s: %w", b.cfg.MetadataDir, plain(err))
	}
	lock, err := b.env.FS.Lock(filepath.Join(b.cfg.MetadataDir, ".lock"))
	if err != nil {
		return fmt.Errorf("metadata.log.dir %s: %w", b.cfg.MetadataDir, plain(err))
	}
	b.metaLock = lock.Close
	return nil
}

// knownClusterID is the configured cluster id, or the one that a log dir was made for, or a new one.
func (b *Broker) knownClusterID() string {
	if b.cfg.ClusterID != "" {
		return b.cfg.ClusterID
	}
	for _, path := range b.cfg.LogDirs {
		if id := b.clusterIDIn(filepath.Join(path, "meta.properties")); id != "" {
			return id
		}
	}
	id := b.newUUID()
	return base64.RawURLEncoding.EncodeToString(id[:])
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

func (b *Broker) jitter(n int64) int64 {
	if n <= 0 {
		return 0
	}
	return (int64(b.sessionID())<<31 | int64(b.sessionID())) % n
}

// nameCluster begins an empty image, and refuses an image of another cluster.
func (b *Broker) nameCluster() error {
	if id := b.image().ClusterID(); id != "" {
		if id != b.clusterID {
			return fmt.Errorf("metadata in %s is of cluster %s, but the log dirs are of %s",
				b.cfg.MetadataDir, id, b.clusterID)
		}
		return nil
	}
	return b.change(func(im *catalog.Image) []catalog.Change {
		return catalog.NameCluster(im, b.clusterID)
	})
}

// register enters this broker into the metadata, in place of its own earlier registration. Endpoints
// are known only once the listeners are bound, so a broker registers fenced first.
func (b *Broker) register(endpoints []catalog.Endpoint, fenced bool) error {
	var refused catalog.Error
	incarnation := b.newUUID()
	err := b.change(func(im *catalog.Image) []catalog.Change {
		var changes []catalog.Change
		if old := im.Broker(b.nodeID); old != nil && !old.Fenced {
			changes = append(changes, catalog.BrokerChanged{
				ID: old.ID, Epoch: old.Epoch, Fenced: true, ShuttingDown: old.ShuttingDown,
				LogDirs: old.LogDirs, CordonedLogDirs: old.CordonedLogDirs,
			})
		}
		at, _, err := im.With(im.Index()+1, changes)
		if err != nil {
			refused = catalog.Error{Code: -1, Message: err.Error()}
			return nil
		}
		var more []catalog.Change
		more, refused = catalog.RegisterBroker(at, catalog.Broker{
			ID: b.nodeID, Incarnation: incarnation, Endpoints: endpoints, Rack: b.cfg.Rack,
			LogDirs: b.dirIDs(), Fenced: fenced,
		})
		if !refused.OK() {
			return nil
		}
		return append(changes, more...)
	})
	if err == nil && !refused.OK() {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("registering broker %d: %w", b.nodeID, err)
	}
	self := b.image().Broker(b.nodeID)
	b.epoch = self.Epoch
	if fenced {
		return nil
	}
	return b.unfence(self)
}

func (b *Broker) unfence(self *catalog.Broker) error {
	if !self.Fenced {
		return nil
	}
	return b.change(func(*catalog.Image) []catalog.Change {
		return []catalog.Change{catalog.BrokerChanged{
			ID: self.ID, Epoch: self.Epoch, LogDirs: self.LogDirs,
			CordonedLogDirs: self.CordonedLogDirs,
		}}
	})
}

func (b *Broker) dirIDs() []catalog.UUID {
	ids := make([]catalog.UUID, 0, len(b.dirs))
	for _, d := range b.dirs {
		ids = append(ids, d.id)
	}
	return ids
}

// raiseEpochs begins a new leader epoch for every partition led here after an unclean shutdown:
// the log may have lost its unsynced end, and what is appended now in its place must be told apart
// from that (KIP-101).
func (b *Broker) raiseEpochs() error {
	clean := true
	for _, d := range b.dirs {
		ok, _ := d.dir.Clean()
		clean = clean && ok
	}
	if clean {
		return nil
	}
	return b.change(func(im *catalog.Image) []catalog.Change {
		var changes []catalog.Change
		for t := range im.Topics {
			for i := range int32(t.PartitionCount()) {
				p := *t.Partition(i)
				if p.Leader != b.nodeID {
					continue
				}
				p.LeaderEpoch++
				p.PartitionEpoch++
				changes = append(changes,
					catalog.PartitionChanged{TopicID: t.ID, Partition: i, State: p})
			}
		}
		return changes
	})
}

// openLogs opens every log of this broker, in parallel, and sets aside what no topic claims.
func (b *Broker) openLogs() error {
	im := b.image()
	found := foundLogs{}
	for _, d := range b.dirs {
		if err := b.find(im, d, found); err != nil {
			return err
		}
	}
	workers := max(1, int(b.cfg.RecoveryThreadsPerDir)*len(b.dirs))
	queue := make(chan *catalog.Topic)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for t := range queue {
				b.openTopic(im, t, found)
			}
		})
	}
	for t := range im.Topics {
		queue <- t
	}
	close(queue)
	wg.Wait()
	return nil
}

// find notes the logs in one dir. A log whose topic the metadata does not know is renamed with the
// suffix -stray and left for a person to decide on, as Kafka does.
func (b *Broker) find(im *catalog.Image, d *logDir, found foundLogs) error {
	logs, err := d.dir.Partitions()
	if err != nil {
		return fmt.Errorf("log dir %s: %w", d.path, err)
	}
	for _, l := range logs {
		t := im.TopicByID(catalog.UUID(l.TopicID))
		if catalog.UUID(l.TopicID).IsZero() {
			t = im.Topic(l.Topic)
		}
		if t == nil || t.Name != l.Topic || t.Partition(l.Partition) == nil {
			if err := b.setAside(d, l); err != nil {
				return err
			}
			continue
		}
		d.logs.Add(1)
		found[foundKey{t.ID, l.Partition}] = d
	}
	return nil
}

func (b *Broker) setAside(d *logDir, l partition.FoundLog) error {
	name := fmt.Sprintf("%s-%d", l.Topic, l.Partition)
	id := b.newUUID()
	to := fmt.Sprintf("%s.%x-stray", name, id[:])
	b.log.Warn("log of an unknown topic is set aside", "dir", d.path, "from", name, "to", to)
	err := b.env.FS.Rename(filepath.Join(d.path, name), filepath.Join(d.path, to))
	if err == nil {
		err = b.env.FS.SyncDir(d.path)
	}
	return err
}

// Start binds the listeners, begins to serve, and returns.
func (b *Broker) Start() error {
	server, err := netpoll.Listen(b.netConfig())
	if err != nil {
		return err
	}
	b.net = server
	h := &handler{b: b}
	for _, r := range server.Reactors() {
		l := &netLoop{reactor: r}
		h.loops = append(h.loops, l)
		b.loops = append(b.loops, &loopState{wake: newWakeList(l)})
	}
	endpoints, err := b.endpoints()
	if err != nil {
		return err
	}
	b.advertised = endpoints
	if err := b.register(endpoints, false); err != nil {
		return err
	}
	if err := b.startAdminListener(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stopWork = cancel
	b.work.Go(func() { b.housekeeping(ctx) })
	server.Start(h)
	b.state.Store(stateServing)
	return nil
}

func (b *Broker) startAdminListener() error {
	if b.cfg.AdminListener == "" {
		return nil
	}
	b.metrics.watch(b)
	admin, err := startAdmin(b.cfg.AdminListener, b.ready, b.metrics)
	if err != nil {
		return err
	}
	b.admin = admin
	return nil
}

// ready says whether the broker takes requests, for /readyz.
func (b *Broker) ready() error {
	switch b.state.Load() {
	case stateServing:
		return nil
	case stateDraining:
		return errors.New("draining")
	default:
		return errors.New("starting")
	}
}

func (b *Broker) netConfig() netpoll.Config {
	c := b.cfg
	n := netpoll.Config{
		Reactors:            runtime.NumCPU(),
		RequestBytesMax:     c.SocketRequestMaxBytes,
		MemoryBytesMax:      max(c.QueuedMaxRequestBytes, 0),
		ConnectionsMax:      unbounded(c.MaxConnections),
		ConnectionsPerIPMax: unbounded(c.MaxConnectionsPerIP),
		IdleMax:             time.Duration(c.ConnectionsMaxIdleMs) * time.Millisecond,
		Logger:              b.log,
	}
	if c.NetworkThreadsSet {
		n.Reactors = int(c.NumNetworkThreads)
	}
	// Kafka's default of 100 KiB would switch the kernel's autotuning off; only a value that was
	// set is obeyed.
	if _, set := c.Static["socket.send.buffer.bytes"]; set {
		n.SendBufferBytes = int(c.SocketSendBufferBytes)
	}
	if _, set := c.Static["socket.receive.buffer.bytes"]; set {
		n.ReceiveBufferBytes = int(c.SocketReceiveBuffer)
	}
	n.ConnectionsPerIPOverrides = b.perIP()
	for _, l := range c.Listeners {
		n.Listeners = append(n.Listeners, netpoll.Listener{
			Name: l.Name, Address: net.JoinHostPort(l.Host, fmt.Sprint(l.Port)),
		})
	}
	return n
}

// unbounded turns Kafka's "no bound" (the largest int32) into netpoll's.
func unbounded(n int32) int {
	if n == 1<<31-1 {
		return 0
	}
	return int(n)
}
