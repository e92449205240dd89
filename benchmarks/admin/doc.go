// Package admin holds the two clients of the load generator that move no records: Connections opens
// many connections and keeps them idle, Topics creates, describes and deletes topics. Both are of
// type drive.Client.
//
// # Connections
//
// Measured time begins before the first connection, so that the broker's memory at its beginning
// is that without any, and ends while all are open. A fixed number of workers opens them: connect(2)
// (result.StageConnect) and an ApiVersions request (result.StageHandshake, which includes the
// former). Then they stay open, without a goroutine each, and for spec.Duration a random one is
// asked ApiVersions spec.Rate times a second (result.StagePing, from when the ping was due;
// result.StageLag is how late it was sent). In the end each is looked at: one that the broker closed
// counts as lost.
//
// Memory that the broker freed after earlier runs is used again, so memory per connection is only
// that of a broker that has just started.
//
// One source address has about 28,000 ports towards one listener (ip_local_port_range, ip(7)), so
// that towards a loopback address further connections come from 127.0.0.2, 127.0.0.3 and so on.
//
// # Topics
//
// spec.Topics topics are created in requests of createBatch, until every partition is led; then for
// spec.Duration the broker is asked about them by turns: Metadata of one topic, Metadata of all
// (stage "metadata_all"), DescribeTopicPartitions of one ("describe", KIP-966), and one record is
// written to one partition (result.StageAck), one request at a time. Measured time ends there; then
// they are deleted. These requests go through franz-go, whose own time is in them: some tens of
// microseconds.
package admin
