package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func apiVersionsBody(version int16, edit func(*kmsg.ApiVersionsRequest)) []byte {
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version = version
	q.ClientSoftwareName, q.ClientSoftwareVersion = "apache-kafka-java", "4.1.0"
	if edit != nil {
		edit(q)
	}
	return q.AppendTo(nil)
}

// TestAPIVersionsNegotiation proves how each request is answered (KIP-35, KIP-511, KIP-1242).
func TestAPIVersionsNegotiation(t *testing.T) {
	t.Parallel()
	f := func(version int16, want int16, edit func(*kmsg.ApiVersionsRequest)) {
		t.Helper()
		var q APIVersionsRequest
		if err := q.Decode(apiVersionsBody(min(version, 5), edit), version); err != nil {
			t.Fatal(err)
		}
		if got := q.Negotiate("cluster", 3); got != want {
			t.Errorf("v%d: got %s, want %s", version, CodeName(got), CodeName(want))
		}
	}
	for v := int16(0); v <= 5; v++ {
		f(v, CodeNone, nil)
	}
	f(6, CodeUnsupportedVersion, nil)
	f(-1, CodeUnsupportedVersion, nil)
	name := func(n string) func(*kmsg.ApiVersionsRequest) {
		return func(q *kmsg.ApiVersionsRequest) { q.ClientSoftwareName = n }
	}
	f(3, CodeNone, name("a"))
	f(3, CodeNone, name("a-.b"))
	f(3, CodeInvalidRequest, name(""))
	f(3, CodeInvalidRequest, name("-a"))
	f(3, CodeInvalidRequest, name("a."))
	f(3, CodeInvalidRequest, name("a b"))
	f(3, CodeInvalidRequest, name("a_b"))
	f(4, CodeInvalidRequest, func(q *kmsg.ApiVersionsRequest) { q.ClientSoftwareVersion = "1.0 " })
	node := func(cluster string, id int32) func(*kmsg.ApiVersionsRequest) {
		return func(q *kmsg.ApiVersionsRequest) {
			q.NodeID = id
			if cluster != "" {
				q.ClusterID = &cluster
			}
		}
	}
	f(5, CodeNone, node("cluster", 3))
	f(5, CodeRebootstrapRequired, node("cluster", 4))
	f(5, CodeRebootstrapRequired, node("other", 3))
	f(5, CodeInvalidRequest, node("cluster", -1))
	f(5, CodeInvalidRequest, node("", 3))
}

// TestAPIVersionsTooHighIsNotParsed proves that the body of an unknown version is left alone.
func TestAPIVersionsTooHighIsNotParsed(t *testing.T) {
	t.Parallel()
	var q APIVersionsRequest
	if err := q.Decode([]byte{0xff, 0xff}, 9); err != nil {
		t.Error(err)
	}
	if err := q.Decode([]byte{0xff, 0xff}, 3); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if err := q.Decode([]byte{0, 2, 'a', 0}, 3); !errors.Is(err, ErrMalformed) {
		t.Error("a null name:", err)
	}
}

func testAPIVersions(code int16) *APIVersionsResponse {
	return &APIVersionsResponse{
		ErrorCode:  code,
		APIs:       []APIRange{APIByKey(KeyProduce).Range(false), APIByKey(KeyFetch).Range(false)},
		ThrottleMs: 9,
		Supported: []Feature{
			{Name: "metadata.version", MinLevel: 7, MaxLevel: 25},
			{Name: "transaction.version", MinLevel: 0, MaxLevel: 2},
		},
		FinalizedEpoch: 12,
		Finalized:      []FinalizedFeature{{Name: "metadata.version", MinLevel: 7, MaxLevel: 20}},
	}
}

func readAPIVersions(t *testing.T, version int16, b []byte) *kmsg.ApiVersionsResponse {
	t.Helper()
	r := kmsg.NewPtrApiVersionsResponse()
	r.Version = version
	if err := r.ReadFrom(b); err != nil {
		t.Fatal(err)
	}
	if again := r.AppendTo(nil); !bytes.Equal(again, b) {
		t.Errorf("v%d: the library writes\n%q, not\n%q", version, again, b)
	}
	return r
}

// TestAPIVersionsResponse proves each version's body against the library, and that features with
// level 0 are hidden below v4 (KAFKA-17492) while finalized ones are not.
func TestAPIVersionsResponse(t *testing.T) {
	t.Parallel()
	for v := int16(0); v <= 5; v++ {
		r := readAPIVersions(t, v, AppendAPIVersionsResponse(nil, v, testAPIVersions(CodeNone)))
		if len(r.ApiKeys) != 2 || r.ApiKeys[0].MinVersion != 0 || r.ApiKeys[0].MaxVersion != 13 {
			t.Errorf("v%d: %+v", v, r.ApiKeys)
		}
		want := map[int16]int{3: 1, 4: 2, 5: 2}[v]
		if len(r.SupportedFeatures) != want {
			t.Errorf("v%d: %d supported features", v, len(r.SupportedFeatures))
		}
		if v >= 3 && (r.FinalizedFeaturesEpoch != 12 || len(r.FinalizedFeatures) != 1 ||
			r.FinalizedFeatures[0].MaxVersionLevel != 20) {
			t.Errorf("v%d: finalized %+v", v, r.FinalizedFeatures)
		}
	}
	plain := &APIVersionsResponse{FinalizedEpoch: -1}
	if r := readAPIVersions(t, 3, AppendAPIVersionsResponse(nil, 3, plain)); r.FinalizedFeaturesEpoch != -1 {
		t.Error("an unknown epoch is sent")
	}
}

// TestAPIVersionsErrors proves that UNSUPPORTED_VERSION answers in v0 with ApiVersions' own range,
// and that other errors list nothing (KIP-511).
func TestAPIVersionsErrors(t *testing.T) {
	t.Parallel()
	b := AppendAPIVersionsResponse(nil, 77, testAPIVersions(CodeUnsupportedVersion))
	r := readAPIVersions(t, 0, b)
	if r.ErrorCode != CodeUnsupportedVersion || len(r.ApiKeys) != 1 ||
		r.ApiKeys[0].ApiKey != KeyAPIVersions || r.ApiKeys[0].MaxVersion != 5 {
		t.Errorf("%+v", r)
	}
	b = AppendAPIVersionsResponse(nil, 5, testAPIVersions(CodeInvalidRequest))
	r = readAPIVersions(t, 5, b)
	if r.ErrorCode != CodeInvalidRequest || len(r.ApiKeys) != 0 || len(r.SupportedFeatures) != 0 {
		t.Errorf("%+v", r)
	}
}

func FuzzAPIVersionsRequest(f *testing.F) {
	for v := int16(0); v <= 6; v++ {
		f.Add(apiVersionsBody(min(v, 5), nil), v)
	}
	f.Fuzz(func(t *testing.T, body []byte, version int16) {
		var q APIVersionsRequest
		if q.Decode(body, version) != nil || version < 3 || version > 5 {
			return
		}
		want := kmsg.NewPtrApiVersionsRequest()
		want.Version = version
		if err := want.ReadFrom(body); err != nil {
			t.Fatal("the library refuses it:", err)
		}
		if string(q.SoftwareName) != want.ClientSoftwareName || q.NodeID != want.NodeID ||
			string(q.SoftwareVersion) != want.ClientSoftwareVersion ||
			(q.ClusterID == nil) != (want.ClusterID == nil) {
			t.Errorf("got %+v, the library %+v", q, want)
		}
	})
}
