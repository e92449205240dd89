package broker

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/engine/catalog"
	"sluice/wire"
)

// Brokers of testImage: one that clients reach, one that is fenced, one without the clients'
// listener. Broker 9 is in replica lists but not registered.
const (
	nodeUp, nodeFenced, nodeHidden, nodeGone = 1, 2, 3, 9
)

var dirUp = catalog.UUID{0xd1}

// applied returns the image with changes applied.
func applied(t testing.TB, im *catalog.Image, changes ...catalog.Change) *catalog.Image {
	t.Helper()
	next, _, err := im.With(im.Index()+1, changes)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func testImage(t testing.TB) *catalog.Image {
	t.Helper()
	endpoint := func(listener string) []catalog.Endpoint {
		return []catalog.Endpoint{{Listener: listener, Protocol: "PLAINTEXT", Host: "h", Port: 1}}
	}
	return applied(t, catalog.NewState().Image(),
		catalog.BrokerRegistered{Broker: catalog.Broker{
			ID: nodeUp, Epoch: 1, Endpoints: endpoint("PLAINTEXT"), LogDirs: []catalog.UUID{dirUp},
		}},
		catalog.BrokerRegistered{Broker: catalog.Broker{
			ID: nodeFenced, Epoch: 2, Endpoints: endpoint("PLAINTEXT"), Fenced: true, Rack: "r",
		}},
		catalog.BrokerRegistered{Broker: catalog.Broker{
			ID: nodeHidden, Epoch: 3, Endpoints: endpoint("OTHER"),
		}},
	)
}

// withTopic adds a topic with those partitions; its id begins with id.
func withTopic(
	t testing.TB, im *catalog.Image, name string, id byte, parts ...catalog.Partition,
) *catalog.Image {
	t.Helper()
	return applied(t, im,
		catalog.TopicCreated{
			ID: catalog.UUID{id}, Name: name, Internal: catalog.IsInternalTopic(name),
		},
		catalog.PartitionsAdded{TopicID: catalog.UUID{id}, Partitions: parts})
}

// on is a partition on those replicas, led by the first.
func on(replicas ...int32) catalog.Partition {
	return catalog.Partition{
		Replicas: replicas, ISR: replicas, Leader: replicas[0], LeaderEpoch: 7,
		Directories: make([]catalog.UUID, len(replicas)),
	}
}

func testView(im *catalog.Image) *clusterView {
	var brokers []brokerEndpoint
	for _, x := range im.Brokers() {
		if e, ok := x.Endpoint("PLAINTEXT"); ok {
			brokers = append(brokers, brokerEndpoint{
				id: x.ID, host: e.Host, port: int32(e.Port), rack: x.Rack, fenced: x.Fenced,
			})
		}
	}
	return newClusterView(im, nodeUp, brokers)
}

// TestMetadataLeaders: what a partition's leader and offline replicas are to a client, and
// Metadata's codes by version: LISTENER_NOT_FOUND from v6, filtered replicas in v0
// (KRaftMetadataCache).
func TestMetadataLeaders(t *testing.T) {
	lost, elsewhere, hereDir := on(nodeUp), on(nodeUp), on(nodeUp)
	lost.Directories[0] = catalog.DirLost
	elsewhere.Directories[0] = catalog.UUID{0xee}
	hereDir.Directories[0] = dirUp
	leaderless := on(nodeUp)
	leaderless.Leader = catalog.NoLeader
	check := func(
		what string, version int16, p catalog.Partition,
		wantLeader int32, wantCode int16, wantOffline ...int32,
	) {
		t.Helper()
		im := withTopic(t, testImage(t), "t", 1, p)
		got := testView(im).topicMetadata(im.Topic("t"), version).Partitions[0]
		if got.Leader != wantLeader || got.ErrorCode != wantCode {
			t.Errorf("%s v%d: leader %d code %d, want %d and %d",
				what, version, got.Leader, got.ErrorCode, wantLeader, wantCode)
		}
		if !slices.Equal(got.OfflineReplicas, wantOffline) {
			t.Errorf("%s v%d: offline %v, want %v", what, version, got.OfflineReplicas, wantOffline)
		}
		if got.LeaderEpoch != 7 {
			t.Errorf("%s: leader epoch %d", what, got.LeaderEpoch)
		}
	}
	check("alone", 13, on(nodeUp), nodeUp, wire.CodeNone)
	check("with a fenced one", 13, on(nodeUp, nodeFenced), nodeUp, wire.CodeNone, nodeFenced)
	check("led by a fenced one", 13, on(nodeFenced, nodeUp), nodeFenced, wire.CodeNone, nodeFenced)
	check("listener", 6, on(nodeHidden), -1, wire.CodeListenerNotFound, nodeHidden)
	check("listener", 5, on(nodeHidden), -1, wire.CodeLeaderNotAvailable, nodeHidden)
	check("gone", 13, on(nodeGone), -1, wire.CodeLeaderNotAvailable, nodeGone)
	check("leaderless", 13, leaderless, -1, wire.CodeLeaderNotAvailable)
	check("lost dir", 13, lost, nodeUp, wire.CodeNone, nodeUp)
	check("unknown dir", 13, elsewhere, nodeUp, wire.CodeNone, nodeUp)
	check("known dir", 13, hereDir, nodeUp, wire.CodeNone)
	check("all reachable", 0, on(nodeUp), nodeUp, wire.CodeNone)
	check("filtered", 0, on(nodeUp, nodeFenced), nodeUp, wire.CodeReplicaNotAvailable, nodeFenced)
	check("filtered and leaderless", 0, on(nodeGone), -1, wire.CodeLeaderNotAvailable, nodeGone)
}

// TestMetadataV0HidesReplicas: replicas that are no live brokers are left out for version 0 only.
func TestMetadataV0HidesReplicas(t *testing.T) {
	im := withTopic(t, testImage(t), "t", 1, on(nodeUp, nodeFenced, nodeHidden, nodeGone))
	for version, want := range map[int16][]int32{
		0: {nodeUp}, 1: {nodeUp, nodeFenced, nodeHidden, nodeGone},
	} {
		p := testView(im).topicMetadata(im.Topic("t"), version).Partitions[0]
		if !slices.Equal(p.Replicas, want) || !slices.Equal(p.ISR, want) {
			t.Errorf("v%d: replicas %v, ISR %v, want %v", version, p.Replicas, p.ISR, want)
		}
	}
	if n := len(im.Topic("t").Partition(0).Replicas); n != 4 {
		t.Errorf("the image itself was changed: %d replicas", n)
	}
}

// TestMetadataFailedDir: a partition whose log failed on this broker has no leader, before the
// metadata says so, and its replica is offline.
func TestMetadataFailedDir(t *testing.T) {
	im := withTopic(t, testImage(t), "t", 1, on(nodeUp), on(nodeUp))
	v := testView(im)
	good, bad := &replica{}, &replica{}
	bad.offline.Store(true)
	v.here = func(catalog.UUID) []*replica { return []*replica{good, bad} }
	got := v.topicMetadata(im.Topic("t"), 13).Partitions
	if got[0].Leader != nodeUp || got[0].ErrorCode != 0 || len(got[0].OfflineReplicas) != 0 {
		t.Errorf("the good one: %+v", got[0])
	}
	if got[1].Leader != -1 || got[1].ErrorCode != wire.CodeLeaderNotAvailable ||
		!slices.Equal(got[1].OfflineReplicas, []int32{nodeUp}) {
		t.Errorf("the failed one: %+v", got[1])
	}
}

// TestControllerID: this broker where it serves, any live one otherwise, -1 without one.
func TestControllerID(t *testing.T) {
	check := func(want int32, brokers ...brokerEndpoint) {
		t.Helper()
		v := newClusterView(catalog.NewState().Image(), nodeUp, brokers)
		if got := v.controller(); got != want {
			t.Errorf("%v: %d, want %d", brokers, got, want)
		}
	}
	check(-1)
	check(-1, brokerEndpoint{id: 1, fenced: true})
	check(1, brokerEndpoint{id: 0}, brokerEndpoint{id: 1})
	check(4, brokerEndpoint{id: 1, fenced: true}, brokerEndpoint{id: 4}, brokerEndpoint{id: 5})
}

// TestDescribeCluster: fenced brokers only where asked for (KIP-1073), endpoint types (KIP-919).
func TestDescribeCluster(t *testing.T) {
	ask := func(change func(*kmsg.DescribeClusterRequest)) *kmsg.DescribeClusterResponse {
		q := kmsg.NewPtrDescribeClusterRequest()
		change(q)
		return describeCluster(testView(testImage(t)), q)
	}
	p := ask(func(*kmsg.DescribeClusterRequest) {})
	if len(p.Brokers) != 1 || p.Brokers[0].NodeID != nodeUp || p.ControllerID != nodeUp ||
		p.ClusterAuthorizedOperations != -2147483648 || p.Brokers[0].Rack != nil {
		t.Errorf("plain: %+v", p)
	}
	p = ask(func(q *kmsg.DescribeClusterRequest) {
		q.IncludeFencedBrokers, q.IncludeClusterAuthorizedOperations = true, true
	})
	if len(p.Brokers) != 2 || !p.Brokers[1].IsFenced || p.ClusterAuthorizedOperations != 8096 ||
		p.Brokers[1].Rack == nil || *p.Brokers[1].Rack != "r" {
		t.Errorf("with fenced ones: %+v", p)
	}
	for endpointType, want := range map[int8]int16{
		0: wire.CodeUnsupportedEndpointType, 2: wire.CodeMismatchedEndpointType,
		3: wire.CodeUnsupportedEndpointType, -1: wire.CodeUnsupportedEndpointType,
	} {
		p := ask(func(q *kmsg.DescribeClusterRequest) { q.EndpointType = endpointType })
		if p.ErrorCode != want || p.ErrorMessage == nil ||
			p.Brokers != nil || p.ControllerID != -1 {
			t.Errorf("endpoint type %d: %+v, want code %d", endpointType, p, want)
		}
	}
}
