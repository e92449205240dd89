package measure

// series keeps points in memory taken once. When it is full, neighbours are merged two by two, and
// from then on each point gathers twice as many samples: a run of any length fits, evenly spaced,
// and sums and peaks stay true.
type series struct {
	points  []Point
	stride  int // samples in a whole point
	pending Point
	held    int // samples in pending
}

func (s *series) open(pointsMax int) {
	if pointsMax > 0 {
		s.points, s.stride = make([]Point, 0, max(2, pointsMax)), 1
	}
}

func (s *series) add(p Point) {
	if s.stride == 0 {
		return
	}
	if s.held > 0 {
		p = merged(s.pending, p)
	}
	s.pending, s.held = p, s.held+1
	if s.held < s.stride {
		return
	}
	if len(s.points) == cap(s.points) {
		s.halve()
		if s.held < s.stride {
			return
		}
	}
	s.points, s.held = append(s.points, s.pending), 0
}

// halve merges pairs, while pending is a whole point of the old stride. The last of an odd number
// pairs up with pending, which is a whole point of the new stride then.
func (s *series) halve() {
	n := len(s.points)
	for i := 0; i+1 < n; i += 2 {
		s.points[i/2] = merged(s.points[i], s.points[i+1])
	}
	if n%2 == 1 {
		s.pending = merged(s.points[n-1], s.pending)
		s.held += s.stride
	}
	s.points = s.points[:n/2]
	s.stride *= 2
}

// finish returns the points, with what is pending as a shorter last one.
func (s *series) finish() []Point {
	if s.held == 0 {
		return s.points
	}
	return append(s.points, s.pending)
}

func merged(a, b Point) Point {
	return Point{
		AtMs:              b.AtMs,
		BrokerCPUNanos:    a.BrokerCPUNanos + b.BrokerCPUNanos,
		GeneratorCPUNanos: a.GeneratorCPUNanos + b.GeneratorCPUNanos,
		BusyNanos:         a.BusyNanos + b.BusyNanos,
		StealNanos:        a.StealNanos + b.StealNanos,
		DeviceReadBytes:   a.DeviceReadBytes + b.DeviceReadBytes,
		DeviceWriteBytes:  a.DeviceWriteBytes + b.DeviceWriteBytes,
		BrokerRSSBytes:    max(a.BrokerRSSBytes, b.BrokerRSSBytes),
		GeneratorRSSBytes: max(a.GeneratorRSSBytes, b.GeneratorRSSBytes),
		DirtyBytes:        max(a.DirtyBytes, b.DirtyBytes),
		WritebackBytes:    max(a.WritebackBytes, b.WritebackBytes),
	}
}
