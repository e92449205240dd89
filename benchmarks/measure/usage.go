package measure

import "time"

// Usage is what happened on this machine between Start and End. Plain data, complete for a report:
// all counters are differences over that time unless a field says otherwise.
type Usage struct {
	Start   time.Time `json:"start"`
	End     time.Time `json:"end"`
	Seconds float64   `json:"seconds"` // by the monotonic clock

	IntervalMs int64 `json:"intervalMs"` // asked distance of two samples
	Samples    int   `json:"samples"`    // taken, the first and the last included
	GapMsMax   int64 `json:"gapMsMax"`   // longest time without a sample; peaks within it are not seen

	// Broker and Generator are nil where there was nothing to watch (a broker on another machine).
	Broker    *Process `json:"broker,omitempty"`
	Generator *Process `json:"generator,omitempty"`
	Host      *Host    `json:"host,omitempty"`
	Device    *Device  `json:"device,omitempty"`

	// Series has the samples one by one, if they were asked for.
	Series []Point `json:"series,omitempty"`

	// Stages and Runtime come from the broker's own /metrics; nil for brokers that are not Sluice.
	Stages  []Stage  `json:"stages,omitempty"`
	Runtime *Runtime `json:"runtime,omitempty"`

	// Missing names each figure that could not be taken, with the reason. Empty if all is there.
	Missing []Missing `json:"missing,omitempty"`
}

// Missing is a figure that could not be taken.
type Missing struct {
	What string `json:"what"` // such as "broker", "device", "broker.io"
	Why  string `json:"why"`
}

// Process is what one process used.
type Process struct {
	Pid     int    `json:"pid"`
	Command string `json:"command"` // its name as the kernel has it, at most 15 bytes (comm)
	CPUs    []int  `json:"cpus"`    // processors its main thread was allowed on at Start

	// CPUNanos is exact (clock_getcpuclockid(3)), all threads, user and system.
	// UserNanos and SystemNanos divide it; their sum may differ from it by two ticks of 10 ms.
	CPUNanos    int64 `json:"cpuNanos"`
	UserNanos   int64 `json:"userNanos"`
	SystemNanos int64 `json:"systemNanos"`

	// Memory at Start, at End, and the peak of each kind over the samples (not of one instant).
	MemoryStart Memory `json:"memoryStart"`
	MemoryEnd   Memory `json:"memoryEnd"`
	MemoryPeak  Memory `json:"memoryPeak"`
	// RSSHighWaterBytes is the kernel's VmHWM: over the life of the process, not only this run.
	RSSHighWaterBytes int64 `json:"rssHighWaterBytes"`

	Threads     int `json:"threads"`     // at End
	ThreadsPeak int `json:"threadsPeak"` // over the samples

	// Switches of all threads that were alive at End (a thread that ended takes its count along).
	VoluntarySwitches   int64 `json:"voluntarySwitches"`
	InvoluntarySwitches int64 `json:"involuntarySwitches"`

	MinorFaults int64 `json:"minorFaults"`
	MajorFaults int64 `json:"majorFaults"`

	// IO is nil if /proc/pid/io may not be read (another user's process).
	IO *ProcessIO `json:"io,omitempty"`

	// Ended tells that the process was gone before the run was over; all figures are those of the
	// last sample that could be taken.
	Ended bool `json:"ended"`
}

// Memory is resident memory by kind, from /proc/pid/status. RSSBytes is the sum of the others.
type Memory struct {
	RSSBytes   int64 `json:"rssBytes"`
	AnonBytes  int64 `json:"anonBytes"`  // RssAnon: heap, stacks
	FileBytes  int64 `json:"fileBytes"`  // RssFile: mapped files, the program itself
	ShmemBytes int64 `json:"shmemBytes"` // RssShmem
}

// ProcessIO is from /proc/pid/io. The kernel adds to it what children did that the process has
// waited for.
type ProcessIO struct {
	// ReadCallBytes and WrittenCallBytes went through read, write, sendfile and their kin
	// (rchar, wchar), whether or not a device saw them. Plain recv and send are not in them.
	ReadCallBytes    int64 `json:"readCallBytes"`
	WrittenCallBytes int64 `json:"writtenCallBytes"`
	ReadCalls        int64 `json:"readCalls"`
	WriteCalls       int64 `json:"writeCalls"`
	// DeviceReadBytes were fetched from a device for this process. DeviceWrittenBytes are of pages
	// that it made dirty (written sooner or later), CancelledBytes of those it truncated away.
	DeviceReadBytes    int64 `json:"deviceReadBytes"`
	DeviceWrittenBytes int64 `json:"deviceWrittenBytes"`
	CancelledBytes     int64 `json:"cancelledBytes"`
}

// Host is what all processors of the machine did, from /proc/stat, and its memory.
type Host struct {
	CPUs int `json:"cpus"` // online

	// BusyNanos is user + nice + system + irq + softirq: work, whoever it was for. Waiting for a
	// device is idle time; stolen time is apart.
	BusyNanos    int64 `json:"busyNanos"`
	UserNanos    int64 `json:"userNanos"` // user and nice, virtual machines' guests included
	SystemNanos  int64 `json:"systemNanos"`
	IRQNanos     int64 `json:"irqNanos"`
	SoftIRQNanos int64 `json:"softIrqNanos"`
	IdleNanos    int64 `json:"idleNanos"` // without IOWaitNanos
	IOWaitNanos  int64 `json:"ioWaitNanos"`
	StealNanos   int64 `json:"stealNanos"` // ready to run, but the hypervisor ran another machine

	// BusyFromIdleNanos is Seconds × CPUs less idle, wait and steal: busy time by another clock.
	BusyFromIdleNanos int64 `json:"busyFromIdleNanos"`

	// Shares are of the sum of all states, 0 to 1.
	BusyShare  float64 `json:"busyShare"`
	StealShare float64 `json:"stealShare"`
	// StealSharePeak is the highest over any whole second.
	StealSharePeak float64 `json:"stealSharePeak"`

	ContextSwitches int64 `json:"contextSwitches"`

	PagesStart Pages `json:"pagesStart"`
	PagesEnd   Pages `json:"pagesEnd"`
	// Peaks over the samples; DirtyWritebackBytesPeak is of the two in one sample.
	DirtyBytesPeak          int64 `json:"dirtyBytesPeak"`
	WritebackBytesPeak      int64 `json:"writebackBytesPeak"`
	DirtyWritebackBytesPeak int64 `json:"dirtyWritebackBytesPeak"`
	AvailableBytesMin       int64 `json:"availableBytesMin"`
}

// Pages is the page cache and free memory at one instant, from /proc/meminfo.
type Pages struct {
	TotalBytes     int64 `json:"totalBytes"`
	FreeBytes      int64 `json:"freeBytes"`
	AvailableBytes int64 `json:"availableBytes"`
	CachedBytes    int64 `json:"cachedBytes"` // page cache, tmpfs included
	DirtyBytes     int64 `json:"dirtyBytes"`
	WritebackBytes int64 `json:"writebackBytes"`
}

// Device is what the block device under the data directory did, whoever asked.
type Device struct {
	Dir        string `json:"dir"`        // the directory asked about
	MountPoint string `json:"mountPoint"` // where its file system is mounted
	FileSystem string `json:"fileSystem"` // its type, such as ext4
	Name       string `json:"name"`       // whole disk (of a partition), such as nvme0n1 or vda

	Reads        int64 `json:"reads"` // completed requests
	ReadBytes    int64 `json:"readBytes"`
	Writes       int64 `json:"writes"`
	WrittenBytes int64 `json:"writtenBytes"`
	Flushes      int64 `json:"flushes"` // 0 on kernels before 5.5
	DiscardBytes int64 `json:"discardBytes"`
	// BusyMs is the time with at least one request in flight. A device that takes many at once is
	// not full when this reaches the length of the run.
	BusyMs int64 `json:"busyMs"`
	// WrittenBytesPerSecondPeak is the highest over any whole second.
	WrittenBytesPerSecondPeak int64 `json:"writtenBytesPerSecondPeak"`
}

// Point is one sample of a series, or several neighbours in one when the series outgrew its room.
// Times and bytes marked "since" are of the time since the point before it; the rest are of the
// instant, of merged samples the highest.
type Point struct {
	AtMs int64 `json:"atMs"` // since Start

	BrokerCPUNanos    int64 `json:"brokerCpuNanos"`    // since
	GeneratorCPUNanos int64 `json:"generatorCpuNanos"` // since
	BusyNanos         int64 `json:"busyNanos"`         // since, the whole host
	StealNanos        int64 `json:"stealNanos"`        // since
	DeviceReadBytes   int64 `json:"deviceReadBytes"`   // since
	DeviceWriteBytes  int64 `json:"deviceWriteBytes"`  // since

	BrokerRSSBytes    int64 `json:"brokerRssBytes"`
	GeneratorRSSBytes int64 `json:"generatorRssBytes"`
	DirtyBytes        int64 `json:"dirtyBytes"`
	WritebackBytes    int64 `json:"writebackBytes"`
}

// Stage is the time that requests of one kind spent in one stage of the broker: the difference of
// two scrapes of sluice_request_stage_seconds (docs/METRICS.md).
type Stage struct {
	Request string `json:"request"` // API name, such as Produce
	Stage   string `json:"stage"`   // queue, local, remote, poll, throttle, send, total

	Count      uint64  `json:"count"`
	SumSeconds float64 `json:"sumSeconds"`
	MeanMicros float64 `json:"meanMicros"` // SumSeconds ÷ Count; 0 if Count is 0

	// Buckets are cumulative as Prometheus has them, ascending, without +Inf (which is Count).
	Buckets []Bucket `json:"buckets,omitempty"`
}

// Bucket counts what took at most UpToSeconds.
type Bucket struct {
	UpToSeconds float64 `json:"upToSeconds"`
	Count       uint64  `json:"count"`
}

// Runtime is what a Go broker's runtime did between two scrapes; zero where it does not say.
type Runtime struct {
	GCCPUSeconds     float64 `json:"gcCpuSeconds"`      // the collector's processor time
	GCCycles         int64   `json:"gcCycles"`          // finished collections
	GCPauseSeconds   float64 `json:"gcPauseSeconds"`    // sum of stop-the-world pauses
	HeapAllocBytes   int64   `json:"heapAllocBytes"`    // handed out by the heap
	HeapAllocObjects int64   `json:"heapAllocObjects"`  // handed out by the heap
	HeapInUseBytes   int64   `json:"heapInUseBytes"`    // at the second scrape
	Goroutines       int64   `json:"goroutines"`        // at the second scrape
	ProcessCPUSecs   float64 `json:"processCpuSeconds"` // the broker's own word for CPUNanos
}
