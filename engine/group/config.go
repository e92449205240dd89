package group

// Config holds what an operator sets, under Kafka's names where Kafka has them, and the bounds on what
// clients can make a shard remember. A shard is one partition of __consumer_offsets; bounds are per
// shard unless they say per group.
type Config struct {
	// SessionMinMs and SessionMaxMs bound a member's session timeout (group.min.session.timeout.ms,
	// group.max.session.timeout.ms); outside of them a join is answered INVALID_SESSION_TIMEOUT.
	SessionMinMs, SessionMaxMs int32
	// InitialDelayMs is how long a group without members waits for more of them after the first
	// (group.initial.rebalance.delay.ms, KIP-134).
	InitialDelayMs int32
	// NewMemberMs is how long a new member's first join may be parked before the member is dropped: it
	// does not know its id yet, and so cannot send heartbeats. Kafka fixes it at five minutes.
	NewMemberMs int32
	// SizeMax is how many members a group may have (group.max.size, KIP-389); past it a join is
	// answered GROUP_MAX_SIZE_REACHED.
	SizeMax int

	// GroupsMax is how many groups may exist in memory without a record in the log: groups whose first
	// rebalance has not come to an end. A client that invents group ids gets
	// COORDINATOR_NOT_AVAILABLE beyond it; what it made goes away with its members' sessions.
	GroupsMax int
	// PendingMax is how many member ids may be handed out that nobody has joined with yet (KIP-394).
	// Beyond it a join without a member id is answered COORDINATOR_NOT_AVAILABLE.
	PendingMax int
	// GroupBytesMax bounds, per group, what its members have said of themselves: ids, protocol names
	// and metadata. A join that would exceed it is answered GROUP_MAX_SIZE_REACHED.
	GroupBytesMax int
	// MemberBytesMax bounds the same over all groups of the shard. A join that would exceed it is
	// answered COORDINATOR_NOT_AVAILABLE.
	MemberBytesMax int
	// RecordBytesMax bounds a group's record, since a record that is too large for the topic's
	// max.message.bytes (1 MiB) can't be written. It leaves room for the records of other groups that
	// the shard puts into the same batch. A leader's assignment that would exceed it is answered as
	// Kafka answers a record that its log refuses: UNKNOWN_SERVER_ERROR, and a new rebalance.
	RecordBytesMax int

	// OffsetGroupsMax is how many groups may have committed offsets. A first commit of one more, by a
	// simple consumer, is answered COORDINATOR_NOT_AVAILABLE.
	OffsetGroupsMax int
	// OffsetMetadataBytesMax bounds the string that is committed with an offset
	// (offset.metadata.max.bytes).
	OffsetMetadataBytesMax int
	// OffsetRetentionMs is for how long offsets are kept after a group became empty, or, without
	// members, after their commit (offsets.retention.minutes, KIP-211).
	OffsetRetentionMs int64
	// ExpiryCheckMs is how often expired offsets and groups are looked for
	// (offsets.retention.check.interval.ms).
	ExpiryCheckMs int64

	// Meter, unless nil, is told what happens.
	Meter Meter
}

// Defaults is Kafka's configuration, with bounds that no well-behaved client meets.
func Defaults() Config {
	return Config{
		SessionMinMs:   6_000,
		SessionMaxMs:   1_800_000,
		InitialDelayMs: 3_000,
		NewMemberMs:    300_000,
		SizeMax:        1<<31 - 1,

		GroupsMax:      10_000,
		PendingMax:     50_000,
		GroupBytesMax:  16 << 20,
		MemberBytesMax: 64 << 20,
		RecordBytesMax: 700 << 10,

		OffsetGroupsMax:        1_000_000,
		OffsetMetadataBytesMax: 4096,
		OffsetRetentionMs:      7 * 24 * 3_600_000,
		ExpiryCheckMs:          600_000,
	}
}
