package catalog

import (
	"encoding/base64"
	"fmt"
)

// UUID identifies a topic, a log directory or an incarnation of a broker, as 16 bytes, big endian.
// The zero value means none. It is assignable to and from the [16]byte of protocol messages.
type UUID [16]byte

// The ids that Kafka gives a meaning of their own as a replica's directory.
var (
	// DirUnassigned: the broker has not yet said in which directory the replica lives.
	DirUnassigned = UUID{}
	// DirLost: the replica's directory is gone.
	DirLost = UUID{15: 1}
	// DirMigrating: the replica was placed before directories had ids.
	DirMigrating = UUID{15: 2}
)

// String returns the form that Kafka prints: 22 characters of URL-safe base64 without padding.
func (u UUID) String() string { return base64.RawURLEncoding.EncodeToString(u[:]) }

// IsZero says whether u is the zero value.
func (u UUID) IsZero() bool { return u == UUID{} }

// ParseUUID reads the form that String writes.
func ParseUUID(text string) (UUID, error) {
	var u UUID
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(u) {
		return UUID{}, fmt.Errorf("%q is no id: want 22 characters of URL-safe base64", text)
	}
	copy(u[:], raw)
	return u, nil
}

// compareUUID orders ids by their bytes.
func compareUUID(a, b UUID) int {
	for i := range a {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return 0
}
