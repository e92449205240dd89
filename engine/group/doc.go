// Package group is the group coordinator's state machine for one partition of __consumer_offsets: who is
// a member of which group, in the classic protocol (KIP-62, 134, 229, 345, 389, 394, 559, 814), and which
// offsets a group has committed. It is pure, see coordinator.Machine. Rules are Kafka's, from its classes
// GroupMetadataManager, ClassicGroup and OffsetMetadataManager; where this package goes another way, the
// place says so.
//
// # States
//
//	Empty                 no members. A first join, with its delay, leads to PreparingRebalance.
//	PreparingRebalance    members are to join; their joins are parked. When all have, or the longest
//	                      rebalance timeout is over, a new generation begins: CompletingRebalance,
//	                      or Empty if nobody is left.
//	CompletingRebalance   members have been told their generation and are to sync; their syncs are
//	                      parked until the leader's comes with the assignment. Once that is in the log
//	                      the group is Stable.
//	Stable                every member gets its assignment on asking. A member that comes, goes, or says
//	                      something new of itself leads back to PreparingRebalance.
//	Dead                  what is said of groups that are not there.
//
// # What is in the log, and what is not
//
// The log has one record per group: its members and their assignments as of the last generation that was
// assigned, or that it is empty. A group becomes Stable, or Empty, by replaying such a record and in no
// other way, so that a reload finds every such group as it was. A static member's restart in a stable
// group is a record, too. All else is volatile as in Kafka: who joins a rebalance, ids that were handed out,
// who waits. After a reload the rebalance that was on is forgotten: the group is Stable in the generation
// before, its members find out by ILLEGAL_GENERATION or UNKNOWN_MEMBER_ID, and join anew. A generation that
// nobody was assigned in may thus be begun twice; none is assigned twice.
//
// A group gets its first record with its first assignment, whereas Kafka writes one on the first join.
// Until then it is fleeting: their number is bounded (Config.GroupsMax), and they are gone with their last
// member. Groups of simple consumers exist by their offsets alone and have no group here.
//
// # Who waits, and until when
//
// Joins and syncs are parked in their member. Whatever ends the wait answers: the generation, the
// assignment, a new rebalance, the loss of membership, a younger request of the same member. Kafka forgets
// the older of two parked requests, and the sync of a member that leaves; here those are answered as well
// (REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID), since every input has one answer.
//
// A group has one timer, for whatever its state waits for. A member has one for its session. That one is
// lazy: a sign of life moves the deadline only, and when the timer is due before it, it is set anew. So a
// heartbeat touches no heap, and an idle member costs one look per session. Members that wait for us do not
// expire, but for those whose first join is parked: they do not know their id yet, and nobody may be
// listening any more (Config.NewMemberMs). Timers run on a clock that follows the wall but does not go back
// with it.
//
// # Failed appends
//
// If an assignment can't be appended, everybody who waits for it is told so, in a coordinator's terms, and
// the group rebalances. If it is a static member's restart, the old incarnation stays. If it is that the
// group has become empty, it stays PreparingRebalance without members, and the record is tried again a
// second later; Kafka says Empty in memory and leaves the log behind.
//
// # Bounds
//
// A group's members, and what they say of themselves, are bounded (Config.SizeMax, GroupBytesMax), and so
// is a shard's sum (MemberBytesMax), the ids that were handed out (PendingMax), and the record
// (RecordBytesMax). Strings that a record can't hold are refused. Client ids go into member ids with their
// first 255 bytes. Nothing else that a client sends is kept.
package group
