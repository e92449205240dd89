package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"sluice/engine/catalog/config"
	"sluice/netpoll"
)

// New opens everything that the broker keeps on disk and recovers it. Nothing is reachable yet.
func New(cfg *config.Server, env Environment) (*Broker, error) {
	b := &Broker{
		env: env, cfg: cfg, log: env.Log, nodeID: cfg.NodeID,
		topics: newTopicTable(), fatal: make(chan error, 1),
		fetchBytesMax: int64(cfg.FetchMaxBytes),
		pools: [poolCount]*controlPool{
			{max: queryWorkers}, {max: changeWorkers}, {max: coordinationWorkers},
		},
	}
	if err := b.supported(); err != nil {
		return nil, err
	}
	b.metrics = newMetrics(int(cfg.MetricsTopicsMax))
	b.apis = newAPITable(b.metrics)
	b.groups, b.txns = newGroupHost(b), newTxnHost(b)
	b.cleaner.init(b)
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
	if b.cfg.IOEngine == "io_uring" {
		return errors.New("io.engine=io_uring is not available in this build; allowed: auto, epoll")
	}
	return nil
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
