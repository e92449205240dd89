package netpoll

import "time"

// The kinds of lines that are throttled apart from each other.
const (
	lineAccept = iota
	lineFull
	linePerIP
	lineFrame
	lineKinds
)

// throttledLine lets one line through in lineEvery and counts the rest. Server.lineMu guards it.
type throttledLine struct {
	nextNs  int64
	dropped int
}

const lineEvery = 10 * time.Second

// warn writes a warning, unless one of its kind was written lately.
func (s *Server) warn(kind int, text string, args ...any) {
	nowNs := s.reactors[0].clock()
	s.lineMu.Lock()
	line := &s.lines[kind]
	dropped := line.dropped
	if nowNs < line.nextNs {
		line.dropped++
		s.lineMu.Unlock()
		return
	}
	line.dropped, line.nextNs = 0, nowNs+int64(lineEvery)
	s.lineMu.Unlock()
	if dropped > 0 {
		args = append(args, "dropped_lines", dropped)
	}
	s.log.Warn(text, args...)
}

// logRefusal names a peer that does not speak the protocol.
func (s *Server) logRefusal(c *Conn, err error) {
	s.warn(lineFrame, "connection closed: "+err.Error(),
		"listener", c.Listener(), "peer", c.peer)
}
