package config

// sluiceDefs are keys that Kafka does not have, or has without documenting them.
var sluiceDefs = []Def{
	key("admin.listener", String, "127.0.0.1:9644", ReadOnly, Medium, anyValue,
		"Address of the admin listener, host:port, with metrics, health and profiles over HTTP. "+
			"Empty turns it off."),
	key("io.engine", String, "auto", ReadOnly, Medium, oneOf("auto", "epoll", "io_uring"),
		"How reactors wait for sockets. auto probes what the kernel allows, and says at start what "+
			"it chose and why."),
	key("log.durability", String, "pagecache", ClusterWide, High, oneOf("pagecache").butNotYet("disk"),
		"Default of the topic config log.durability."),
	key("log.validation", String, "full", ClusterWide, Medium, oneOf("full", "header"),
		"Default of the topic config log.validation."),
	key("log.cold.read.bytes.per.second", Long, "0", ClusterWide, Medium, atLeast(0),
		"Bound on bytes read from disk for fetches of what is not in the page cache; 0 is none."),
	key("log.cold.read.cache.bytes", Long, "268435456", ClusterWide, Medium, atLeast(0),
		"Page cache that all replaying readers together may occupy ahead of their position."),
	key("log.preallocate.budget.bytes", Long, "1073741824", ReadOnly, Low, atLeast(0),
		"Space that all partitions together may hold reserved ahead of their appends."),
	key("log.decompressed.batch.max.bytes", Long, "134217728", ClusterWide, Medium,
		atLeast(1048576),
		"Bound on what one compressed batch may expand to while it is validated."),
	key("memory.budget.bytes", Long, "0", ReadOnly, Medium, atLeast(0),
		"Memory that the broker's own buffers may use; 0 derives it from the host."),
	key("metrics.topics.max", Int, "200", ReadOnly, Low, atLeast(0),
		"Number of topics with metrics of their own; those beyond share one series."),
	key("metrics.group.partitions.max", Int, "2000", ReadOnly, Low, atLeast(0),
		"Number of committed offsets, over all groups, with metrics of their own: the offset and the "+
			"lag. Groups that do not fit are left out, and counted; 0 turns these metrics off."),
	key("cluster.id", String, null, ReadOnly, Low, anyValue,
		"Id that a new cluster gets; unset makes a random one. A cluster that has one keeps it."),
	key("unstable.api.versions.enable", Boolean, "false", ReadOnly, Low, anyValue,
		"Advertise API versions that are still being designed."),
	key("unstable.feature.versions.enable", Boolean, "false", ReadOnly, Low, anyValue,
		"Allow feature levels that are still being designed."),
}

// throttleDefs are keys that exist only as dynamic configs of a broker.
var throttleDefs = []Def{
	key("leader.replication.throttled.rate", Long, "9223372036854775807", ClusterWide, Medium,
		atLeast(0), "Bytes a second that this leader sends to throttled replicas."),
	key("follower.replication.throttled.rate", Long, "9223372036854775807", ClusterWide, Medium,
		atLeast(0), "Bytes a second that this follower fetches for throttled replicas."),
	key("replica.alter.log.dirs.io.max.bytes.per.second", Long, "9223372036854775807",
		ClusterWide, Medium, atLeast(0), "Bytes a second moved between log directories."),
}
