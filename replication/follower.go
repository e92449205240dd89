package replication

import "fmt"

// FetchPosition is what a follower asks its leader with.
type FetchPosition struct {
	LeaderEpoch      int32 // currentLeaderEpoch: the leadership it believes in.
	FetchOffset      int64 // Its log end offset.
	LastFetchedEpoch int32 // The epoch of the last record it has, or NoEpoch.
}

// Truncation is a decision to cut a follower's log.
type Truncation struct {
	// Offset is the new log end offset, at most the present one.
	Offset int64
	// Final says that the histories agree below Offset. Otherwise the follower does not know the
	// epoch that the leader named, has stepped back to an older one, and has to ask again.
	Final bool
}

// TruncateTo decides how far a follower with history own and log end offset leo goes back, given
// the leader's answer about the follower's newest epoch (KIP-101, KIP-279): to the smaller of its
// own end of that epoch and the leader's. It never decides on the HW, except that a leader which
// knows nothing of the epoch sends the follower back to its HW, below which nothing can differ.
func TruncateTo(own *Epochs, leo, highWatermark int64, leader EpochEnd) Truncation {
	if leader.EndOffset == NoOffset {
		return Truncation{Offset: min(highWatermark, leo), Final: true}
	}
	mine := own.EndOffsetFor(leader.Epoch, leo)
	switch {
	case leader.Epoch == NoEpoch || mine.Unknown():
		return Truncation{Offset: min(leader.EndOffset, leo), Final: true}
	case mine.Epoch != leader.Epoch:
		return Truncation{Offset: min(mine.EndOffset, leo)}
	default:
		return Truncation{Offset: min(mine.EndOffset, leader.EndOffset, leo), Final: true}
	}
}

// Follower is the state of one replica that follows a leader, for one leader epoch.
type Follower struct {
	leaderEpoch   int32
	leo           int64
	highWatermark int64
}

// NewFollower returns the state of a replica that begins to follow the leader of leaderEpoch with
// log end offset leo and the HW known so far.
func NewFollower(leaderEpoch int32, leo, highWatermark int64) *Follower {
	if highWatermark > leo {
		panic(fmt.Sprintf("BUG: follower with HW %d beyond LEO %d", highWatermark, leo))
	}
	return &Follower{leaderEpoch: leaderEpoch, leo: leo, highWatermark: highWatermark}
}

// HighWatermark is the follower's HW: consumers that may read here see what is below it.
func (f *Follower) HighWatermark() int64 { return f.highWatermark }

// LeaderEpoch is the epoch of the leader that is followed.
func (f *Follower) LeaderEpoch() int32 { return f.leaderEpoch }

// NextFetch is what to ask the leader with, given the log's history.
func (f *Follower) NextFetch(own *Epochs) FetchPosition {
	return FetchPosition{
		LeaderEpoch: f.leaderEpoch, FetchOffset: f.leo, LastFetchedEpoch: own.LatestEpoch(),
	}
}

// MayAppend says whether a fetched batch may be written: not when its leader epoch is above the
// one the fetch was made under, which an answer that raced with a leader change can hold, nor when
// it does not begin at the log's end. The rest of that answer is dropped.
func (f *Follower) MayAppend(batchEpoch int32, baseOffset int64) bool {
	return batchEpoch <= f.leaderEpoch && baseOffset >= f.leo
}

// Fetched tells that an answer was appended, so that the log now ends at leo, and what HW the
// leader gave in it. The follower's HW becomes the smaller of the two; it never moves back this
// way.
func (f *Follower) Fetched(leo, leaderHighWatermark int64) (highWatermark int64, advanced bool) {
	if leo < f.leo {
		panic(fmt.Sprintf("BUG: follower's LEO went from %d to %d by a fetch", f.leo, leo))
	}
	f.leo = leo
	if hw := min(leaderHighWatermark, leo); hw > f.highWatermark {
		f.highWatermark = hw
		return hw, true
	}
	return f.highWatermark, false
}

// Truncated tells that the log was cut to end at leo. The HW comes down with it where it must;
// after clean elections it never must.
func (f *Follower) Truncated(leo int64) {
	f.leo = leo
	f.highWatermark = min(f.highWatermark, leo)
}
