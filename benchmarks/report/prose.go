package report

// caveat is one thing that the numbers do not show.
type caveat struct{ Lead, Text string }

// caveats tell what the numbers do not show. They are fixed text: a report may have more to confess
// (its notes), never less.
var caveats = []caveat{
	{"Two machines. ", "Everything ran on one machine. Client and broker spoke over the loopback device and shared the " +
		"same processor cores (or had one each, where the placement says pinned), so a core that the client " +
		"used was one that the broker could not have. On loopback the kernel does the receiver's work in the " +
		"sender's context: a broker's own processor time alone flatters whoever is pulled from, which is why " +
		"the whole host's busy time stands beside it."},
	{"A network. ", "No network card, no cable, no switch, no interrupt, no other host was involved. Loopback has no " +
		"bandwidth limit, no loss and no propagation delay, and hands pages over where a card would need DMA and " +
		"checksums. On a real network the card may be the limit, and differences between brokers that show " +
		"here can vanish behind it; latencies here have no network in them."},
	{"A real disk. ", "Where the host is a virtual machine (see its fingerprint), the disk is a virtual one as well: a " +
		"flush may end in the hypervisor's memory, its speed changes with neighbours, and neighbours take " +
		"processor time; what they took is shown as steal, and runs that lost too much were discarded by a rule " +
		"fixed beforehand."},
	{"Durability and replication. ", "Unless a row says otherwise, an acknowledged record is in the page cache and not yet on the device. " +
		"That is the default of Apache Kafka too, where replication is what survives the loss of a host. Here a " +
		"single broker ran, so nothing was replicated, and nothing here says how fast replication is. Produce " +
		"figures labelled burst may have been absorbed by memory that the device had not seen; sustained ones " +
		"ran for at least two minutes, with what reached the device printed beside them."},
	{"An application's client. ", "The lean client asks for one partition per request, without fetch sessions, and its batches are made " +
		"beforehand: the broker's cost per request weighs more than under clients that bundle partitions. Where there is " +
		"a schedule, its threads run with real-time priority if they may: the client's own delays on busy cores are not " +
		"in the figures, and an application would see them. What one client library makes of it is in the " +
		"rows through franz-go."},
	{"Other days in a broker's life. ", "Fetches read what was just written and was resident. Cold reads, a full disk, thousands of " +
		"partitions, compaction, transactions, encryption, authentication, rolling restarts and weeks of uptime " +
		"are other measurements."},
	{"Other hosts. ", "An interval tells how far these runs on this machine agree with each other. It knows nothing of " +
		"other machines, kernels, settings or days. Every broker ran with the settings printed here, which its " +
		"own specialists might improve. A report is one host's evidence; the raw runs and the commands are there to be " +
		"doubted and run again."},
}

// method says how to read the tables.
var method = []string{
	"Figures are geometric means over pairs; the smaller line under a figure is its 90 % bootstrap " +
		"interval. Ratios are formed within pairs, runs of both sides taken in turns a few minutes apart. " +
		"Percentiles are those of all counted runs' values together, with an interval from resampling whole " +
		"runs; one is shown only where at least ten values lie beyond it.",
	"MB is 10⁶ and GB 10⁹ bytes of record batches as they stand in the log. An open-loop latency " +
		"counts from the moment the record was due, a closed-loop one from the moment its request could first have " +
		"been sent; the latter are compared with a limit server's only, where one request went at a time. " +
		"A goal is met only if the bad end of its interval meets the bound. A run with an error, " +
		"with a reason of invalidity or with over 2 % of the host's time stolen does not count, nor does " +
		"the pair that it belongs to; a goal that lost over a third of its pairs, or has fewer than three, is " +
		"invalid: neither met nor missed. Pairs lost to stolen time, and only those, are followed by further " +
		"ones up to a bound; the lost ones stay among the runs and count towards that third.",
	"“Broker ceiling” marks a client that lets the kernel drop what it received: it shows what the " +
		"broker could send, is compared with machine limits only, and never with another broker.",
}
