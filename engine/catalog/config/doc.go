// Package config defines every configuration key that a broker or topic knows, with its type,
// default, allowed range and meaning; reads server.properties; and resolves what holds for a broker
// or a topic from the layers that may set it. It does no I/O: file contents are arguments.
package config
