package wire

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestShapeHoldsWhatTheLibraryWrites proves that every field of every version is in the table, at its
// place, with its type, and null where it may be.
func TestShapeHoldsWhatTheLibraryWrites(t *testing.T) {
	t.Parallel()
	eachShape(t, func(s shapeCase) {
		d := newDice(uint64(s.api.Key))
		for i := range 60 {
			d.textBytesMax = 9 + i*5 // Lengths of one and of two bytes.
			body := s.random(d)
			if rest, err := s.after(body); err != nil || len(rest) > 0 {
				t.Fatalf("%v: %v, %x left of %x", s, err, rest, body)
			}
			rest, err := s.after(append(body, 0xff, 0xff))
			if err != nil || !bytes.Equal(rest, []byte{0xff, 0xff}) {
				t.Fatalf("%v: %v, %x left after %x", s, err, rest, body)
			}
		}
	})
}

// TestShapeHoldsNothingElse proves that the table has no field, and no null, that the library does not
// know: what is written by the table, the library reads and writes as it was.
func TestShapeHoldsNothingElse(t *testing.T) {
	t.Parallel()
	eachShape(t, func(s shapeCase) {
		d := newDice(uint64(s.api.Key))
		for range 60 {
			body := d.writeValue(nil, s, s.body)
			if err := s.agree(t, body); err != nil {
				t.Fatalf("%v: %x: %v", s, body, err)
			}
			q := s.newRequest()
			if err := q.ReadFrom(body); err != nil {
				t.Fatalf("%v: %x: %v", s, body, err)
			}
			if again := q.AppendTo(nil); !bytes.Equal(again, body) {
				t.Fatalf("%v: wrote\n%x, which the library takes for\n%x", s, body, again)
			}
		}
	})
}

// TestShapeEnds proves that no message is accepted that lacks as much as its last byte.
func TestShapeEnds(t *testing.T) {
	t.Parallel()
	eachShape(t, func(s shapeCase) {
		d := newDice(uint64(s.api.Key))
		for range 5 {
			body := s.random(d)
			for n := range body {
				part := body[:n:n]
				if err := s.agree(t, part); err == nil || s.newRequest().ReadFrom(part) == nil {
					t.Fatalf("%v: accepted %x, which lacks %x", s, part, body[n:])
				}
			}
		}
	})
}

// TestShapeOfChangedBytes changes every byte of messages to what may matter. What the walk accepts,
// the library must read alike. What the library alone accepts must be among the three kinds of fields
// that the walk is stricter with on purpose: lists and bytes that are null where that is not allowed,
// and structs that are not there by another number than -1.
func TestShapeOfChangedBytes(t *testing.T) {
	t.Parallel()
	eachShape(t, func(s shapeCase) {
		d := newDice(uint64(s.api.Key))
		d.textBytesMax = 3
		stricter := map[string]bool{}
		s.body.stricter(s.version, stricter)
		body := s.random(d)
		for i, was := range body {
			for _, c := range neighbours(was) {
				body[i] = c
				err := s.agree(t, body)
				if err == nil || s.newRequest().ReadFrom(body) != nil {
					continue
				}
				var at *shapeError
				if !errors.As(err, &at) || !stricter[at.field] {
					t.Fatalf("%v: only the library accepts %x: %v", s, body, err)
				}
			}
			body[i] = was
		}
	})
}

// neighbours are the values that differ from b by a bit or by one, and those at the ends of ranges.
func neighbours(b byte) []byte {
	all := []byte{0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, b - 1, b + 1}
	for bit := range 8 {
		all = append(all, b^1<<bit)
	}
	return all
}

// stricter collects the fields in which the library takes what the walk refuses.
func (f *shapeField) stricter(version int16, paths map[string]bool) {
	null := version >= f.nullFrom && version <= f.nullTo
	structure := f.scalar == "" && !f.list
	if !null && (f.list || f.scalar == "bytes") || structure {
		paths[f.path] = true
	}
	for _, inner := range f.fields {
		inner.stricter(version, paths)
	}
}

// TestShapeStricter gives an example of each.
func TestShapeStricter(t *testing.T) {
	t.Parallel()
	f := func(key, version int16, body, want string) {
		t.Helper()
		_, err := afterShape(key, version, []byte(body))
		if got := ""; err != nil {
			got = err.Error()
			if got != want {
				t.Errorf("%s v%d: %q, want %q", APIName(key), version, got, want)
			}
		} else if want != "" {
			t.Errorf("%s v%d: accepted, want %q", APIName(key), version, want)
		}
	}
	f(KeyMetadata, 1, "\xff\xff\xff\xff", "")
	f(KeyMetadata, 0, "\xff\xff\xff\xff", "malformed request: Metadata at topics")
	f(KeyDeleteGroups, 2, "\x01\x00", "")
	f(KeyDeleteGroups, 2, "\x00\x00", "malformed request: DeleteGroups at groupsNames")
	f(KeyDescribeLogDirs, 2, "\x00\x00", "")
	f(KeyDescribeLogDirs, 2, "\xff\xff\xff\xff\x0f\x00", "malformed request: DescribeLogDirs at topics")
	f(KeySyncGroup, 4, "\x01\x00\x00\x00\x00\x01\x00\x02\x01\x01\x00\x00", "")
	f(KeySyncGroup, 4, "\x01\x00\x00\x00\x00\x01\x00\x02\x01\x00\x00\x00",
		"malformed request: SyncGroup at assignments.assignment")
	f(KeyDescribeTopicPartitions, 0, "\x01\x00\x00\x00\x00\xff\x00", "")
	f(KeyDescribeTopicPartitions, 0, "\x01\x00\x00\x00\x00\xfe\x00",
		"malformed request: DescribeTopicPartitions at cursor")
	// The least of an element bounds a list: 3 bytes are left, of which a topic takes 2.
	f(KeyMetadata, 9, "\x03\x00\x00\x00", "malformed request: Metadata at topics")
	f(KeyProduce, 9, "", "malformed request")
	f(KeyHeartbeat, 5, "", "malformed request")
	f(KeyHeartbeat, -1, "", "malformed request")
	f(-1, 0, "", "malformed request")
	f(1000, 0, "", "malformed request")
}

// TestShapeOfTagBombs puts the number of 2^32-1 tagged fields in the place of every byte of messages:
// where the library would begin to count, the walk has refused.
func TestShapeOfTagBombs(t *testing.T) {
	t.Parallel()
	bomb := []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	eachShape(t, func(s shapeCase) {
		d := newDice(uint64(s.api.Key))
		for range 10 {
			body := s.random(d)
			for i := range body {
				_ = s.agree(t, slices.Concat(body[:i], bomb, body[i+1:]))
			}
			if !s.flexible() {
				continue
			}
			empty := s.newRequest().AppendTo(nil)
			empty = append(empty[:len(empty)-1], bomb...)
			if err := s.agree(t, empty); err == nil || !strings.HasSuffix(err.Error(), " at tagged fields") {
				t.Fatalf("%v: %x: %v", s, empty, err)
			}
		}
	})
}

// TestShapeAllocatesNothing also proves that it takes no more than it is given.
func TestShapeAllocatesNothing(t *testing.T) {
	eachShape(t, func(s shapeCase) {
		body := s.random(newDice(1))
		broken := body[:max(len(body)-1, 0)]
		allocs := testing.AllocsPerRun(10, func() {
			_, _ = s.after(body)
			_, _ = s.after(broken)
		})
		if allocs > 0 {
			t.Errorf("%v: %v allocations", s, allocs)
		}
	})
}

// decodedBytesMax is what the library may take of memory for a byte of a body that has a right shape.
// The worst are structs of a few bytes that each have a tagged field, for which there is a map.
const decodedBytesMax = 128

// TestShapeBoundsMemory decodes the bodies that take the most memory: many of the least elements, in
// every list, without and with a tagged field each, and one element with many tagged fields.
func TestShapeBoundsMemory(t *testing.T) {
	var most float64
	f := func(s shapeCase, list *shapeField, n, tags int) {
		body := s.bulkValue(nil, s.body, list, n, tags)
		if err := s.agree(t, body); err != nil {
			t.Fatalf("%v: %s: %v", s, list.path, err)
		}
		if len(body) < 4000 {
			return // The version does not have the list.
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		q := s.newRequest()
		err := q.ReadFrom(body)
		runtime.ReadMemStats(&after)
		took := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(body))
		if err != nil || took > decodedBytesMax {
			t.Errorf("%v: %d of %s with %d tagged fields take %.0f bytes per byte: %v",
				s, n, list.path, tags, took, err)
		}
		most = max(most, took)
	}
	eachShape(t, func(s shapeCase) {
		for _, list := range s.body.lists(nil) {
			f(s, list, 4000, 0)
			f(s, list, 4000, 1)
			f(s, list, 400, 9)
			f(s, list, 1, 4000)
		}
	})
	if t.Logf("at most %.0f bytes of memory per byte of a body", most); most == 0 {
		t.Error("nothing was measured")
	}
}
