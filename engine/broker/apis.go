package broker

import (
	"cmp"
	"slices"

	"sluice/wire"
)

// apiTable is the set of APIs that this broker serves: what it advertises is what is in it.
type apiTable struct {
	byKey  [128]*api
	ranges []wire.APIRange
}

// find returns the API of that key, or nil. It does not allocate.
func (t *apiTable) find(key int16) *api {
	if key < 0 || int(key) >= len(t.byKey) {
		return nil
	}
	return t.byKey[key]
}

func (t *apiTable) add(a *api) {
	t.byKey[a.spec.Key] = a
	t.ranges = append(t.ranges, a.spec.Range(false))
}

// newAPITable lists every API with its handler, in the order of keys.
func newAPITable(m *metrics) *apiTable {
	t := &apiTable{}
	inline := func(key int16, h func(*request)) {
		t.add(&api{spec: wire.APIByKey(key), inline: h, stats: m.api(key)})
	}
	control := func(key int16, pool poolKind, h controlHandler) {
		t.add(&api{spec: wire.APIByKey(key), control: h, pool: pool, stats: m.api(key)})
	}
	async := func(key int16, pool poolKind, h asyncHandler) {
		t.add(&api{spec: wire.APIByKey(key), async: h, pool: pool, stats: m.api(key)})
	}
	inline(wire.KeyProduce, handleProduce)
	inline(wire.KeyFetch, handleFetch)
	control(wire.KeyListOffsets, queries, handleListOffsets)
	control(wire.KeyMetadata, queries, handleMetadata)
	inline(wire.KeyAPIVersions, handleAPIVersions)
	control(wire.KeyCreateTopics, changes, handleCreateTopics)
	control(wire.KeyDeleteTopics, changes, handleDeleteTopics)
	control(wire.KeyDeleteRecords, changes, handleDeleteRecords)
	control(wire.KeyOffsetForLeaderEpoch, queries, handleOffsetForLeaderEpoch)
	control(wire.KeyDescribeConfigs, queries, handleDescribeConfigs)
	control(wire.KeyAlterConfigs, changes, handleAlterConfigs)
	control(wire.KeyDescribeLogDirs, queries, handleDescribeLogDirs)
	control(wire.KeyCreatePartitions, changes, handleCreatePartitions)
	control(wire.KeyIncrementalAlterConfigs, changes, handleIncrementalAlterConfigs)
	control(wire.KeyDescribeCluster, queries, handleDescribeCluster)
	control(wire.KeyDescribeProducers, queries, handleDescribeProducers)
	control(wire.KeyDescribeTopicPartitions, queries, handleDescribeTopicPartitions)
	addCoordination(control, async)
	t.addExpress()
	slices.SortFunc(t.ranges, func(a, b wire.APIRange) int { return cmp.Compare(a.Key, b.Key) })
	return t
}

// addCoordination lists the APIs of groups and transactions.
func addCoordination(
	control func(key int16, pool poolKind, h controlHandler),
	async func(key int16, pool poolKind, h asyncHandler),
) {
	// These two may have to wait for the metadata journal.
	control(wire.KeyFindCoordinator, changes, handleFindCoordinator)
	async(wire.KeyInitProducerID, changes, handleInitProducerID)
	for _, x := range []struct {
		key int16
		h   asyncHandler
	}{
		{wire.KeyOffsetCommit, handleOffsetCommit},
		{wire.KeyOffsetFetch, handleOffsetFetch},
		{wire.KeyJoinGroup, handleJoinGroup},
		{wire.KeyHeartbeat, handleHeartbeat},
		{wire.KeyLeaveGroup, handleLeaveGroup},
		{wire.KeySyncGroup, handleSyncGroup},
		{wire.KeyDescribeGroups, handleDescribeGroups},
		{wire.KeyListGroups, handleListGroups},
		{wire.KeyDeleteGroups, handleDeleteGroups},
		{wire.KeyOffsetDelete, handleOffsetDelete},
		{wire.KeyAddPartitionsToTxn, handleAddPartitionsToTxn},
		{wire.KeyAddOffsetsToTxn, handleAddOffsetsToTxn},
		{wire.KeyEndTxn, handleEndTxn},
		{wire.KeyWriteTxnMarkers, handleWriteTxnMarkers},
		{wire.KeyTxnOffsetCommit, handleTxnOffsetCommit},
		{wire.KeyDescribeTransactions, handleDescribeTransactions},
		{wire.KeyListTransactions, handleListTransactions},
	} {
		async(x.key, coordination, x.h)
	}
}

// addExpress says which requests of coordinators may be answered on the reactor.
func (t *apiTable) addExpress() { t.byKey[wire.KeyHeartbeat].express = expressHeartbeat }
