package wire

import "encoding/binary"

// FrameLengthSize is the size of the length that precedes every request and response.
const FrameLengthSize = 4

// RequestHeader is the header of a request, v1 or v2.
//
//	apiKey int16 | apiVersion int16 | correlationId int32 | clientId nullable string |
//	tagged fields (v2)
//
// The client id has a two-byte length also in v2, so that a broker can read a header whose version
// it does not know (KIP-482).
type RequestHeader struct {
	APIKey        int16
	APIVersion    int16
	CorrelationID int32
	// ClientID is a sub-slice of the lent frame; nil if null.
	ClientID []byte
}

// ParseRequestHeader reads the header of a frame (without its length) and returns it with the
// body behind it, both in place. A known key with a version out of range parses: whether to
// serve, answer or close is for the broker, see API.Serves. For a key that Kafka does not have it
// returns ErrUnknownAPI with the fixed fields set, for a frame that ends too early ErrMalformed.
func ParseRequestHeader(frame []byte) (h RequestHeader, body []byte, err error) {
	r := reader{b: frame}
	h.APIKey = r.int16()
	h.APIVersion = r.int16()
	h.CorrelationID = r.int32()
	if r.bad {
		return h, nil, ErrMalformed
	}
	api := APIByKey(h.APIKey)
	if api == nil {
		return h, nil, ErrUnknownAPI
	}
	h.ClientID = r.nullableBytes16()
	if api.Flexible(h.APIVersion) {
		r.skipTags()
	}
	if r.bad {
		return h, nil, ErrMalformed
	}
	return h, r.b, nil
}

// ResponseHeaderVersion returns the version of the header that answers a request: 1 for flexible
// versions, else 0. ApiVersions is always answered with 0, since its client does not yet know what
// the broker speaks (KIP-511).
func ResponseHeaderVersion(key, version int16) int16 {
	api := APIByKey(key)
	if api == nil || key == KeyAPIVersions || !api.Flexible(version) {
		return 0
	}
	return 1
}

// AppendResponseHeader appends a response header: the correlation id and, in flexible versions
// (v1), an empty set of tagged fields.
func AppendResponseHeader(dst []byte, correlationID int32, flexible bool) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if flexible {
		dst = append(dst, 0)
	}
	return dst
}
