// Package catalog is the cluster's metadata: which brokers, topics, partitions, configs and
// producer-id blocks there are. It is a deterministic state machine and nothing else: no I/O, no
// clock, no random number. What it needs of those (fresh topic ids, where placement begins) is an
// argument.
//
// # How it is used
//
// A request goes through three steps, and only the first can refuse it:
//
//	decide   CreateTopics, DeleteTopics, … look at an Image and a request and answer with
//	         changes and one result, Kafka's error code and a sentence, for each thing asked.
//	store    EncodeEntry turns the changes into one entry, which the caller makes durable: in a
//	         local journal on a broker alone, in a raft log in a cluster. One decision is under
//	         way at a time, from the image that it looked at to the entry being applied.
//	apply    State.Apply brings the entry into a new Image and publishes it, and tells in
//	         Effects what has to be opened, closed or told.
//
// An entry takes effect as a whole or not at all, at the same index with the same result on every
// node. An entry that does not decode, or does not fit, is a reason to stop: a node that skipped it
// would go on with another image than the others.
//
// # Images
//
// An Image is immutable. Readers take the newest with State.Image, one atomic load, and may keep
// it as long as they like. Successive images share structure: topics stand in sorted arrays of
// leaves of at most 128 entries, partitions in pages of 32. Creating a topic among 10,000 copies
// three leaves and three arrays of leaf headers, about 30 KiB; an ISR change in a topic of 10,000
// partitions 15 KiB. Lookups by name or id are binary searches that do not allocate.
//
// # Bytes of an entry
//
// All of this is on disk and may not change within a version. uvarint and varint (zigzag) are
// those of encoding/binary. A string is a uvarint length and bytes; a list is a uvarint count and
// its items; a UUID is 16 bytes; a bool is one byte, 0 or 1.
//
//	entry     ┌───────────┬───────────────┬──────────┬──────────┬──
//	          │ version 1 │ count uvarint │ change 0 │ change 1 │ …
//	          └───────────┴───────────────┴──────────┴──────────┴──
//	change    ┌────────┬───────────┬──────────────────┬────────┐
//	          │ type 1 │ version 1 │ length uvarint 4 │ body … │
//	          └────────┴───────────┴──────────────────┴────────┘
//	          length is that of the body, padded to 4 bytes: 80 80 80 00 is 0
//
// A later version of a change only appends fields to its body; a reader takes those it knows and
// skips the rest, which is what the length is for. Items of a list do not grow: what they gain
// comes as a list of its own behind the others. A type that a reader does not know, or another
// entry version, is ErrUnknownChange. Which types may be written is gated by the finalized feature
// metadata.version (MetadataVersionLatest lists what each level adds), so that a newer node in an
// older cluster does not write what others cannot read. An entry has no checksum of its own: the
// journal and the raft log that carry it have one each.
//
// Bodies, by type number:
//
//	1  ClusterNamed        cluster id string
//	2  FeatureLevel        name string, level varint (0 removes)
//	3  BrokerRegistered    id varint, epoch varint, incarnation UUID, rack string, fenced bool,
//	                       shutting down bool, log dirs [UUID], cordoned log dirs [UUID],
//	                       endpoints [listener string, protocol string, host string,
//	                       port uvarint]
//	4  BrokerChanged       id varint, epoch varint, fenced bool, shutting down bool,
//	                       log dirs [UUID], cordoned log dirs [UUID]
//	5  BrokerUnregistered  id varint, epoch varint
//	6  TopicCreated        id UUID, name string, internal bool
//	7  PartitionsAdded     topic UUID, first id varint, partitions [partition]
//	8  PartitionChanged    topic UUID, id varint, partition
//	9  TopicDeleted        id UUID
//	10 ConfigChanged       resource type 1, resource name string, name string, value string,
//	                       remove bool
//	11 ProducerIDsAssigned broker varint, broker epoch varint, first varint, next varint
//
//	partition ┌────────┬───────────────────┬────────────────────┬──────────────┬──
//	          │ bits 1 │ replicas [varint] │ directories [UUID] │ ISR [varint] │ …
//	          └────────┴───────────────────┴────────────────────┴──────────────┴──
//	          … leader varint, leader epoch varint, partition epoch varint, and then those
//	          lists [varint] whose bit is set: 1 ELR, 2 last known ELR, 4 adding, 8 removing.
//	          Bit 16: the leader is still recovering.
//
// # Bytes of a snapshot
//
//	┌───────────┬───────────┬─────────┬───────────────┬───────────┬──────────┐
//	│ "SLCATLG" │ version 1 │ index 8 │ count uvarint │ changes … │ crc32c 4 │
//	└───────────┴───────────┴─────────┴───────────────┴───────────┴──────────┘
//	index and crc32c are big endian; the CRC is over all before it
//
// The changes are the shortest history that makes the image, ordered by name and id, so equal
// images give equal bytes. A snapshot at index N and the entries after N make the same image as
// all entries.
//
// # Configuration
//
// The sub-package config defines every key, reads server.properties and resolves what holds for a
// broker or a topic. Deciders validate with it.
package catalog
