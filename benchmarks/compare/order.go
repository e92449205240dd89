package compare

// Side is one of the two revisions.
type Side int

// The sides: Old is the commit compared with, New the work tree.
const (
	Old Side = iota
	New
)

// String gives the side's word in reports and file names.
func (s Side) String() string { return [...]string{"old", "new"}[s] }

// Turn is one run within an order.
type Turn struct {
	Side Side
	Pair int // 0, 1, …
}

// Order alternates the sides: old new, new old, old new, … Within two pairs each side is first
// once, so that a drift of the machine that is about linear adds nothing to the mean of the ratios.
func Order(pairs int) []Turn {
	turns := make([]Turn, 0, 2*pairs)
	for p := range pairs {
		first := Side(p % 2)
		turns = append(turns, Turn{first, p}, Turn{1 - first, p})
	}
	return turns
}
