package measure

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ProcessSample is what a process has used since it began, and has at this moment.
type ProcessSample struct {
	CPUNanos    int64 // all threads, dead ones included
	UserNanos   int64 // in steps of 10 ms
	SystemNanos int64 // in steps of 10 ms

	Memory            Memory
	RSSHighWaterBytes int64
	Threads           int
	MinorFaults       int64
	MajorFaults       int64

	IO    ProcessIO
	HasIO bool // false if /proc/pid/io may not be read
}

// ProcessMeter reads one process. Its files stay open, and are bound to that process: if its id is
// given to another one later, the meter still says ErrProcessGone. Not for use by several
// goroutines at once.
type ProcessMeter struct {
	pid     int
	command string
	dir     string
	stat    *procFile
	status  *procFile
	io      *procFile
	ioErr   error
	last    ProcessSample
	clock   func(pid int) (int64, error)
}

// OpenProcess begins to watch a process. root stands for "/", and is "" in use.
// A process that is not there is ErrProcessGone.
func OpenProcess(root string, pid int) (*ProcessMeter, error) {
	return openProcess(root, pid, processCPU)
}

func openProcess(root string, pid int, clock func(int) (int64, error)) (*ProcessMeter, error) {
	m := &ProcessMeter{pid: pid, dir: filepath.Join(root+"/proc", strconv.Itoa(pid)), clock: clock}
	var err error
	if m.stat, err = openProc(m.dir + "/stat"); err == nil {
		m.status, err = openProc(m.dir + "/status")
	}
	if err == nil {
		// Opening is always allowed, reading is not: the first read decides.
		m.io, m.ioErr = openProc(m.dir + "/io")
	}
	if err == nil {
		err = m.Sample(&ProcessSample{})
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("process %d: %w", pid, goneError(err))
	}
	return m, nil
}

// Close lets the files go. The last sample stays readable.
func (m *ProcessMeter) Close() {
	m.stat.close()
	m.status.close()
	m.io.close()
}

// Pid is the id that the meter was opened with.
func (m *ProcessMeter) Pid() int { return m.pid }

// Command is the process's name (comm), at most 15 bytes.
func (m *ProcessMeter) Command() string { return m.command }

// Last is the newest sample that could be taken, also after the process has ended.
func (m *ProcessMeter) Last() ProcessSample { return m.last }

// IOErr says why samples are without IO; nil if they have it.
func (m *ProcessMeter) IOErr() error { return m.ioErr }

// Sample reads all figures into s. When the process has ended it returns ErrProcessGone and leaves
// s and Last as they were, except that an ended process which its parent has not waited for yet
// still tells its processor time.
func (m *ProcessMeter) Sample(s *ProcessSample) error {
	next := m.last
	alive, err := m.readStat(&next)
	if err != nil {
		return goneError(err)
	}
	if next.CPUNanos, err = m.clock(m.pid); err != nil {
		return goneError(err)
	}
	if !alive {
		m.last = next
		return ErrProcessGone
	}
	text, err := m.status.read()
	if err != nil {
		return goneError(err)
	}
	parseStatus(text, &next)
	if m.io != nil {
		m.readIO(&next)
	}
	m.last, *s = next, next
	return nil
}

// goneError turns what the kernel answers for a process that ended into ErrProcessGone: no file when
// it is opened, ESRCH when an open file is read and from the calls of scheduling.
func goneError(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return ErrProcessGone
	}
	return err
}

// readStat takes the fields of /proc/pid/stat that are needed (proc_pid_stat(5)). The name in
// parentheses may hold anything, so fields are counted from the last closing one.
func (m *ProcessMeter) readStat(s *ProcessSample) (alive bool, err error) {
	text, err := m.stat.read()
	if err != nil {
		return false, err
	}
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return false, fmt.Errorf("%s/stat: no name in parentheses", m.dir)
	}
	if m.command == "" {
		m.command = string(text[open+1 : end])
	}
	state, rest := nextField(text[end+1:])
	if len(state) != 1 {
		return false, fmt.Errorf("%s/stat: no state", m.dir)
	}
	var fields [17]int64 // numbers 4 to 20 of the man page
	if numbers(rest, fields[:]) < len(fields) {
		return false, fmt.Errorf("%s/stat: too few fields", m.dir)
	}
	s.MinorFaults, s.MajorFaults = fields[10-4], fields[12-4]
	s.UserNanos, s.SystemNanos = fields[14-4]*nanosPerTick, fields[15-4]*nanosPerTick
	s.Threads = int(fields[20-4])
	return state[0] != 'Z' && state[0] != 'X', nil
}

// parseStatus takes memory from /proc/pid/status, in KiB there.
func parseStatus(text []byte, s *ProcessSample) {
	s.Memory = Memory{}
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		name, kib := labelled(line)
		switch string(name) {
		case "VmHWM":
			s.RSSHighWaterBytes = kib * 1024
		case "VmRSS":
			s.Memory.RSSBytes = kib * 1024
		case "RssAnon":
			s.Memory.AnonBytes = kib * 1024
		case "RssFile":
			s.Memory.FileBytes = kib * 1024
		case "RssShmem":
			s.Memory.ShmemBytes = kib * 1024
		}
	}
}

// readIO takes /proc/pid/io (proc_pid_io(5)). Refused once, it is not asked again.
func (m *ProcessMeter) readIO(s *ProcessSample) {
	text, err := m.io.read()
	if err != nil {
		if !errors.Is(goneError(err), ErrProcessGone) {
			m.io.close()
			m.io, m.ioErr = nil, err
		}
		return
	}
	s.HasIO = true
	for len(text) > 0 {
		var line []byte
		line, text = nextLine(text)
		name, value := labelled(line)
		switch string(name) {
		case "rchar":
			s.IO.ReadCallBytes = value
		case "wchar":
			s.IO.WrittenCallBytes = value
		case "syscr":
			s.IO.ReadCalls = value
		case "syscw":
			s.IO.WriteCalls = value
		case "read_bytes":
			s.IO.DeviceReadBytes = value
		case "write_bytes":
			s.IO.DeviceWrittenBytes = value
		case "cancelled_write_bytes":
			s.IO.CancelledBytes = value
		}
	}
}

// processCPU reads another process's processor clock. The id of that clock is made of the process
// id as clock_getcpuclockid(3) does it: all bits of the id inverted, then 3 bits of which 2 says
// "the scheduler's own nanoseconds". A clock of no process is an invalid one.
func processCPU(pid int) (int64, error) {
	const scheduler = 2
	var ts unix.Timespec
	err := unix.ClockGettime(int32(^pid)<<3|scheduler, &ts)
	if errors.Is(err, unix.EINVAL) {
		return 0, ErrProcessGone
	}
	if err != nil {
		return 0, fmt.Errorf("processor clock of process %d: %w", pid, err)
	}
	return ts.Nano(), nil
}
