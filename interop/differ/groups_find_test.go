//go:build interop

package differ

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFindCoordinator covers types, keys and, since KIP-699, many keys.
func TestFindCoordinator(t *testing.T) {
	compare(t, func(s *side) {
		s.coordinated("find")
		s.transactional("find")
		for v := int16(0); v <= 6; v++ {
			for _, kind := range []int8{0, 1, 2, 3, -1, 127} {
				for _, keys := range [][]string{
					{"find"},
					{""},
					{},
					{"find", "find", "", "other"},
					{"ä€𝄞", strings.Repeat("x", 30), "a:b", "\x00"},
				} {
					req := at(kmsg.NewPtrFindCoordinatorRequest(), v)
					req.CoordinatorType, req.CoordinatorKeys = kind, keys
					if v < 4 && len(keys) > 0 {
						req.CoordinatorKey = keys[0]
					}
					s.send("type "+plainInt(int16(kind))+" keys "+strings.Join(keys, ","), req)
				}
			}
		}
	})
}
