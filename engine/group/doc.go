// Package group is the group coordinator's state machine for one partition of __consumer_offsets.
package group
