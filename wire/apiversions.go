package wire

// APIRange is one row of an ApiVersions response: the versions that the broker serves of an API.
type APIRange struct {
	Key, MinVersion, MaxVersion int16
}

// Feature is a feature that the broker supports, with its range of levels (KIP-584).
type Feature struct {
	Name               string
	MinLevel, MaxLevel int16
}

// FinalizedFeature is a feature that the whole cluster runs at a level (KIP-584).
type FinalizedFeature struct {
	Name               string
	MinLevel, MaxLevel int16
}

// featureZeroVersion is the first ApiVersions version whose clients can read a supported feature
// with a lowest level of 0 (KAFKA-17492).
const featureZeroVersion = 4

// APIVersionsRequest is a decoded ApiVersions request of versions 0 to 5 (KIP-511, KIP-1242). Its
// slices belong to the lent frame.
type APIVersionsRequest struct {
	Version int16
	// SoftwareName and SoftwareVersion name the client (v3+).
	SoftwareName, SoftwareVersion []byte
	// ClusterID is the cluster that the client means to have reached; nil if it does not say (v5+).
	ClusterID []byte
	// NodeID is the broker that the client means to have reached; -1 if it does not say (v5+).
	NodeID int32
}

// Decode reads the body of a request. A version that is too high is not parsed, as KIP-511 asks:
// the request then has nothing but its version, and Negotiate answers it.
func (q *APIVersionsRequest) Decode(body []byte, version int16) error {
	*q = APIVersionsRequest{Version: version, NodeID: -1}
	if version < 3 || version > APIByKey(KeyAPIVersions).MaxVersion {
		return nil
	}
	r := reader{b: body}
	q.SoftwareName = r.string(true)
	q.SoftwareVersion = r.string(true)
	if version >= 5 {
		q.ClusterID = r.nullableCompact()
		q.NodeID = r.int32()
	}
	r.skipTags()
	if r.bad {
		return ErrMalformed
	}
	return nil
}

// Negotiate decides how to answer: CodeUnsupportedVersion for a version that is too high or
// negative, CodeInvalidRequest for an ill-named client or half an identity,
// CodeRebootstrapRequired where the client meant another cluster or node (KIP-1242), else
// CodeNone.
func (q *APIVersionsRequest) Negotiate(clusterID string, nodeID int32) (code int16) {
	switch {
	case !APIByKey(KeyAPIVersions).Serves(q.Version, false):
		return CodeUnsupportedVersion
	case q.Version >= 5 && (q.ClusterID == nil) != (q.NodeID == -1):
		return CodeInvalidRequest
	case q.Version >= 3 && !(validSoftware(q.SoftwareName) && validSoftware(q.SoftwareVersion)):
		return CodeInvalidRequest
	case q.ClusterID != nil && (string(q.ClusterID) != clusterID || q.NodeID != nodeID):
		return CodeRebootstrapRequired
	default:
		return CodeNone
	}
}

// validSoftware matches KIP-511's [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?: letters, digits, dots
// and dashes, with neither a dot nor a dash at an end.
func validSoftware(s []byte) bool {
	for i, c := range s {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		inner := i > 0 && i < len(s)-1
		if !alnum && !(inner && (c == '-' || c == '.')) {
			return false
		}
	}
	return len(s) > 0
}

// APIVersionsResponse is what the broker says of itself. APIs is the set that it implements.
type APIVersionsResponse struct {
	ErrorCode  int16
	APIs       []APIRange
	ThrottleMs int32
	// Supported lists the broker's features. Those whose MinLevel is 0 are left out below v4.
	Supported []Feature
	// FinalizedEpoch counts changes of the finalized features; -1 if unknown.
	FinalizedEpoch int64
	Finalized      []FinalizedFeature
}

// AppendAPIVersionsResponse appends the body that answers a request of the given version. With
// CodeUnsupportedVersion the body is in the format of v0 and names no API but ApiVersions, whatever
// APIs says (KIP-511); with any other error it names none.
func AppendAPIVersionsResponse(dst []byte, version int16, p *APIVersionsResponse) []byte {
	switch p.ErrorCode {
	case CodeNone:
	case CodeUnsupportedVersion:
		own := [1]APIRange{APIByKey(KeyAPIVersions).Range(false)}
		return appendAPIVersions(dst, 0, p, own[:])
	default:
		failed := APIVersionsResponse{
			ErrorCode: p.ErrorCode, ThrottleMs: p.ThrottleMs, FinalizedEpoch: -1,
		}
		return appendAPIVersions(dst, version, &failed, nil)
	}
	return appendAPIVersions(dst, version, p, p.APIs)
}

func appendAPIVersions(dst []byte, version int16, p *APIVersionsResponse, apis []APIRange) []byte {
	flexible := version >= 3
	dst = appendInt16(dst, p.ErrorCode)
	dst = appendCount(dst, len(apis), flexible)
	for _, a := range apis {
		dst = appendInt16(dst, a.Key)
		dst = appendInt16(dst, a.MinVersion)
		dst = appendInt16(dst, a.MaxVersion)
		if flexible {
			dst = append(dst, 0)
		}
	}
	if version >= 1 {
		dst = appendInt32(dst, p.ThrottleMs)
	}
	if !flexible {
		return dst
	}
	return appendFeatureTags(dst, version, p)
}

// appendFeatureTags appends the tagged fields 0 to 2: supported features, the finalized features'
// epoch, and they themselves. Each is left out where it has its default, as Kafka's writer does.
func appendFeatureTags(dst []byte, version int16, p *APIVersionsResponse) []byte {
	supported := 0
	for i := range p.Supported {
		if p.Supported[i].shownIn(version) {
			supported++
		}
	}
	tagsAt := len(dst)
	dst = append(dst, 0)
	if supported > 0 {
		dst[tagsAt]++
		size := uvarintSize(uint32(supported) + 1)
		for _, f := range p.Supported {
			if f.shownIn(version) {
				size += featureSize(f.Name)
			}
		}
		dst = appendCount(appendUvarint(append(dst, 0), uint32(size)), supported, true)
		for _, f := range p.Supported {
			if f.shownIn(version) {
				dst = appendFeature(dst, f.Name, f.MinLevel, f.MaxLevel)
			}
		}
	}
	if p.FinalizedEpoch != -1 {
		dst[tagsAt]++
		dst = appendInt64(append(dst, 1, 8), p.FinalizedEpoch)
	}
	if len(p.Finalized) > 0 {
		dst[tagsAt]++
		size := uvarintSize(uint32(len(p.Finalized)) + 1)
		for _, f := range p.Finalized {
			size += featureSize(f.Name)
		}
		dst = appendCount(appendUvarint(append(dst, 2), uint32(size)), len(p.Finalized), true)
		for _, f := range p.Finalized { // Here the highest level comes first.
			dst = appendFeature(dst, f.Name, f.MaxLevel, f.MinLevel)
		}
	}
	return dst
}

// shownIn reports whether a response of the version may list the feature.
func (f *Feature) shownIn(version int16) bool {
	return version >= featureZeroVersion || f.MinLevel != 0
}

func featureSize(name string) int {
	return uvarintSize(uint32(len(name))+1) + len(name) + 2 + 2 + 1
}

func appendFeature(dst []byte, name string, first, second int16) []byte {
	dst = appendString(dst, name, true)
	dst = appendInt16(dst, first)
	dst = appendInt16(dst, second)
	return append(dst, 0)
}

func uvarintSize(v uint32) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
