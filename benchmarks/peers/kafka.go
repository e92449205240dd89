package peers

import (
	"context"
	"io"
)

// Kafka is Apache Kafka in KRaft mode, one node that is broker and controller, from the jars that
// Maven Central carries. It needs a JDK of 17 or newer and, to be installed, mvn.
type Kafka struct{}

// Name implements Peer.
func (k *Kafka) Name() string { return "kafka" }

// Install implements Peer: Maven copies the jars that kafka/pom.xml names into the cache.
func (k *Kafka) Install(ctx context.Context, log io.Writer) error { return k.install(ctx, log) }

// Start implements Peer. Overrides are lines of server.properties.
func (k *Kafka) Start(ctx context.Context, o StartOptions) (*Instance, error) {
	if err := o.normalize(); err != nil {
		return nil, err
	}
	return k.start(ctx, o)
}
