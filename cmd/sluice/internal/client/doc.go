// Package client connects the command line's tools to a cluster. It reads client properties as
// Kafka's clients name them, turns them into options of franz-go, finds out within seconds whether
// anybody answers at the given address, and words what went wrong as one sentence for a person.
package client
