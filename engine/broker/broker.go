package broker

import (
	"context"
	"log/slog"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"sluice/engine/catalog"
	"sluice/engine/catalog/config"
	"sluice/engine/group"
	"sluice/engine/partition"
	"sluice/engine/txn"
	"sluice/netpoll"
	"sluice/pagecache"
	"sluice/wire"
)

// Environment is what a broker takes from the outside world, so that tests can replace it.
type Environment struct {
	// FS is where the log dirs are; pagecache.OS in production.
	FS pagecache.FS
	// NowMs is the wall clock in Unix milliseconds; NanoTime a monotonic clock in ns.
	NowMs    func() int64
	NanoTime func() int64
	// Random fills p with random bytes.
	Random func(p []byte)
	// Log takes the broker's structured log.
	Log *slog.Logger
	// Gate makes a log dir's append gate; nil means the usual one.
	Gate func() *pagecache.Gate
	// Version is the build's version, for the start-up line and metrics.
	Version string
}

// logDir is one of the broker's log dirs.
type logDir struct {
	path   string
	id     catalog.UUID
	dir    *partition.Dir
	logs   atomic.Int32 // open in it, for placement
	failed atomic.Bool
}

// Broker is one running broker.
type Broker struct {
	env       Environment
	cfg       *config.Server
	log       *slog.Logger
	nodeID    int32
	clusterID string
	epoch     int64 // of this broker's registration

	meta     *metadata
	topics   *topicTable
	dirs     []*logDir
	sessions *sessionCache
	apis     *apiTable
	metrics  *metrics
	refusals throttle
	cleaner  cleaner
	pools    [poolCount]*controlPool
	// largeControl admits one large control request to the decoder at a time.
	largeControl sync.Mutex
	// groups and txns are the coordinators.
	groups *coordinatorHost[*group.Input]
	txns   *coordinatorHost[*txn.Input]
	// groupMeter, txnMeter and markerMeter are figures of the coordinators' work.
	groupMeter  groupMeter
	txnMeter    txnMeter
	markerMeter markerMeter
	// creatingInternal admits one creation of a coordinators' topic at a time.
	creatingInternal sync.Mutex
	// creating admits one automatic creation of topics at a time to the query workers.
	creating sync.Mutex
	// fetchesWaiting counts long polls in wait, for metrics.
	fetchesWaiting atomic.Int64
	loops          []*loopState

	fetchBytesMax int64
	ids           producerIDs
	advertised    []catalog.Endpoint
	placement     atomic.Uint32

	net      *netpoll.Server
	admin    *adminServer
	state    atomic.Int32
	stopWork context.CancelFunc
	work     sync.WaitGroup
	fatal    chan error
	metaLock func() error
}

// The broker's states, for /readyz.
const (
	stateStarting int32 = iota
	stateServing
	stateDraining
)

func (b *Broker) nowMs() int64    { return b.env.NowMs() }
func (b *Broker) nanotime() int64 { return b.env.NanoTime() }

// image is the newest metadata.
func (b *Broker) image() *catalog.Image { return b.meta.image() }

// change is metadata.change.
func (b *Broker) change(decide func(im *catalog.Image) []catalog.Change) error {
	return b.meta.change(decide)
}

// newUUID draws an id that has no meaning of its own.
func (b *Broker) newUUID() catalog.UUID {
	for {
		var id catalog.UUID
		b.env.Random(id[:])
		// Kafka's random ids are version 4 UUIDs; its tools expect no particular bits.
		if id != catalog.DirUnassigned && id != catalog.DirLost && id != catalog.DirMigrating {
			return id
		}
	}
}

// environment is what deciders go by beside the image.
func (b *Broker) environment() *catalog.Environment {
	return &catalog.Environment{
		NumPartitions:     b.cfg.NumPartitions,
		ReplicationFactor: b.cfg.DefaultReplicationFactor,
		DeleteTopics:      b.cfg.DeleteTopics,
		Layers:            b.topicLayers(""),
		Start:             b.placement.Add(1),
	}
}

// topicLayers are the layers of a topic's configuration, strongest first.
func (b *Broker) topicLayers(name string) config.Layers { return b.layersIn(b.image(), name) }

func (b *Broker) layersIn(im *catalog.Image, name string) config.Layers {
	own := catalog.Resource{Type: catalog.ResourceBroker, Name: strconv.Itoa(int(b.nodeID))}
	all := catalog.Resource{Type: catalog.ResourceBroker}
	var topic config.Getter
	if name != "" {
		topic = im.Configs(catalog.Resource{Type: catalog.ResourceTopic, Name: name})
	}
	return b.cfg.TopicLayers(topic, im.Configs(own), im.Configs(all))
}

// brokerEndpoint is where a broker can be reached under one listener.
type brokerEndpoint struct {
	id     int32
	host   string
	port   int32
	rack   string
	fenced bool
}

// brokersOn lists the brokers that have that listener, by id.
func (b *Broker) brokersOn(listener string) []brokerEndpoint {
	var list []brokerEndpoint
	for _, x := range b.image().Brokers() {
		if e, ok := x.Endpoint(listener); ok {
			list = append(list, brokerEndpoint{
				id: x.ID, host: e.Host, port: int32(e.Port), rack: x.Rack, fenced: x.Fenced,
			})
		}
	}
	return list
}

// ownEndpoint is this broker as a leader's endpoint (KIP-951).
func (b *Broker) ownEndpoint(listener string) []wire.NodeEndpoint {
	for _, e := range b.brokersOn(listener) {
		if e.id == b.nodeID {
			return []wire.NodeEndpoint{{NodeID: e.id, Host: e.host, Port: e.port, Rack: e.rack}}
		}
	}
	return nil
}

// replicaDir is the log dir that holds a replica, or nil.
func (b *Broker) replicaDir(r *replica) *logDir { return r.dir }

// Addr is the address at which a listener is bound, for tests and the start-up line.
func (b *Broker) Addr(listener string) net.Addr { return b.net.Addr(listener) }

// AdminAddr is the address of the admin listener, empty when it is off.
func (b *Broker) AdminAddr() string {
	if b.admin == nil {
		return ""
	}
	return b.admin.addr()
}

// producerIDs hands out idempotent producers' ids from blocks that the catalog assigns.
type producerIDs struct {
	// mu guards the block. A new block is allocated with it held: callers wait for it anyway.
	mu         sync.Mutex
	next, last int64 // ids next..last-1 are free
	spare      []int64
}

// spareIDsMax bounds the ids that are kept for the next one who asks; more are forgotten, of which
// there are enough.
const spareIDsMax = 1024

// giveBack takes an id that nobody has used.
func (p *producerIDs) giveBack(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.spare) < spareIDsMax {
		p.spare = append(p.spare, id)
	}
}

// producerID returns an id that no other producer has or will have (KIP-98).
func (b *Broker) producerID() (int64, error) {
	p := &b.ids
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.spare); n > 0 {
		id := p.spare[n-1]
		p.spare = p.spare[:n-1]
		return id, nil
	}
	if p.next == p.last {
		var block catalog.ProducerIDsAssigned
		var refused catalog.Error
		err := b.change(func(im *catalog.Image) []catalog.Change {
			block, refused = catalog.AllocateProducerIDs(im, b.nodeID, b.epoch)
			if !refused.OK() {
				return nil
			}
			return []catalog.Change{block}
		})
		if err != nil {
			return 0, err
		}
		if !refused.OK() {
			return 0, refused
		}
		p.next, p.last = block.First, block.Next
	}
	id := p.next
	p.next++
	return id, nil
}

// sessionID draws a number for a fetch session.
func (b *Broker) sessionID() int32 {
	var p [4]byte
	b.env.Random(p[:])
	return int32((uint32(p[0])<<24 | uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])) & math.MaxInt32)
}
