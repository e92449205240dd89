// Package catalog is the cluster's metadata: which brokers, topics, partitions and configs there
// are. It is a deterministic state machine and nothing else. It does no I/O, reads no clock and
// draws no random number.
package catalog
