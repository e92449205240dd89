package wire

// NotFlexible stands in API.FirstFlexible for an API that has no flexible version.
const NotFlexible int16 = -1

// API is what the protocol says of one API key in Kafka 4.4: which versions exist, not whether this
// broker has a handler for them. The broker advertises the APIs that it implements.
type API struct {
	// Key is the number in request headers.
	Key int16
	// Name is Kafka's name, for logs and metrics.
	Name string
	// MinVersion is the lowest version to advertise. It differs from RealMin for Produce alone:
	// librdkafka takes a broker without Produce v0 for one that lacks features (KAFKA-18659).
	MinVersion int16
	// RealMin is the lowest version that is served; what lies below closes the connection.
	RealMin int16
	// MaxVersion is the highest version, stable or not; -1 for an API that Kafka has removed.
	MaxVersion int16
	// FirstFlexible is the first version with compact types and tagged fields (KIP-482), from which
	// on request headers are v2 and response headers v1; NotFlexible if there is none.
	FirstFlexible int16
	// UnstableLast says that MaxVersion is not advertised unless unstable versions are enabled.
	UnstableLast bool
}

// Removed reports whether Kafka has dropped all versions of the API.
func (a *API) Removed() bool { return a.MaxVersion < 0 }

// Flexible reports whether the version uses compact types and tagged fields.
func (a *API) Flexible(version int16) bool {
	return a.FirstFlexible != NotFlexible && version >= a.FirstFlexible
}

// Serves reports whether the version may be requested; unstable says whether an unstable last
// version counts.
func (a *API) Serves(version int16, unstable bool) bool {
	return version >= a.RealMin && version <= a.maxStable(unstable)
}

// Range returns what ApiVersions advertises for the API; unstable says whether an unstable last
// version is among it.
func (a *API) Range(unstable bool) APIRange {
	return APIRange{Key: a.Key, MinVersion: a.MinVersion, MaxVersion: a.maxStable(unstable)}
}

func (a *API) maxStable(unstable bool) int16 {
	if a.UnstableLast && !unstable {
		return a.MaxVersion - 1
	}
	return a.MaxVersion
}

// APIByKey returns the table's row of a key, or nil if Kafka has no such key. The row is shared and
// must not be written to.
func APIByKey(key int16) *API {
	if key < 0 || int(key) >= len(apiTable) {
		return nil
	}
	return &apiTable[key]
}

// APIs returns the whole table in the order of keys, removed APIs included. It is shared and must
// not be written to.
func APIs() []API { return apiTable[:] }

// APIName returns the API's name, or "Unknown" for a key that Kafka does not have.
func APIName(key int16) string {
	if a := APIByKey(key); a != nil {
		return a.Name
	}
	return "Unknown"
}
