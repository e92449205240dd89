// Package partition is the log of one partition: append, read, segments, indexes, recovery,
// producer state, leader epochs, retention.
package partition
