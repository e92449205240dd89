package suite

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"sluice/benchmarks/workload"
)

// What parts of the plan take beside their load, in seconds, as seen on two cores and a disk of
// 2 GB/s. They serve to cut the plan into slices, not as figures of anything.
const (
	turnSeconds       = 0.6        // a process, a topic, a pause
	writeOutSeconds   = 2.0        // to write out what a turn of batches left, at least,
	writeOutShare     = 0.4        // and by second of load, up to
	writeOutMax       = 4.0        //
	preloadPerSecond  = 1500 << 20 // bytes
	kafkaTurnSeconds  = 4.0        // topics take longer to come and go
	kafkaStartSeconds = 14.0       // start, and what is left after its warm-up
	longTurnSeconds   = 10.0       // to delete what a sustained run kept
	diskExtraSeconds  = 6.0
	startPairSeconds  = 5.0
	natsPairSeconds   = 19.0
	boxLimitsSeconds  = 95.0
)

// turnEstimate is how long one contender's turn takes, in seconds.
func (o *Options) turnEstimate(c Case, contender Contender) float64 {
	load := (o.scaled(c.Warmup) + o.scaled(c.Duration)).Seconds()
	t := load + turnSeconds
	if i := slices.Index(c.Args, "--preload"); i >= 0 {
		bytes, _ := strconv.ParseFloat(c.Args[i+1], 64)
		t += bytes / preloadPerSecond
	}
	if c.Mode != workload.Consume && !slices.Contains(c.Args, "--batch-records") {
		t += writeOutSeconds + min(writeOutShare*load, writeOutMax)
	}
	if load > 60 {
		t += longTurnSeconds
	}
	if contender.lasts() {
		t += kafkaTurnSeconds
	}
	return t
}

// pairEstimate is how long a pair takes, without starts.
func (o *Options) pairEstimate(c Case) float64 {
	t := 0.0
	for _, contender := range o.contenders(c.Contenders) {
		t += o.turnEstimate(c, contender)
	}
	if c.Disk {
		t += 2*o.scaled(diskDuration).Seconds() + diskExtraSeconds
	}
	return t
}

// Estimate is what a part of the plan takes.
type Estimate struct {
	ID           string
	Contenders   []string
	Pairs, Turns int
	Seconds      float64 // of all pairs, and of brokers that start in this part
	// First and Last are the slices in which its first and last pair are carried out, from 1 on. They
	// are 0 where Options.For is.
	First, Last int
}

// part is an entry of the plan, as estimates see it.
type part struct {
	id          string
	contenders  []Contender
	pairs       int
	pairSeconds float64
}

func (o *Options) parts() []part {
	all := []part{{limitsID, nil, 1, boxLimitsSeconds}}
	for _, c := range Cases() {
		all = append(all, part{c.ID, o.contenders(c.Contenders), c.Pairs, o.pairEstimate(c)})
	}
	// These start and end brokers of their own.
	all = append(all, part{startCase, nil, startPairs, startPairSeconds},
		part{natsID, nil, natsPairs, natsPairSeconds})
	return slices.DeleteFunc(all, func(p part) bool { return !o.wants(p.id) })
}

// List estimates what the plan takes, without stolen pairs that are repeated.
func List(o Options) []Estimate {
	if o.Scale == 0 {
		o.Scale = 1
	}
	slice, inSlice := 1, 0.0
	started := map[Contender]bool{}
	running := func(c Contender) bool { return started[c] }
	var all []Estimate
	for _, p := range o.parts() {
		if o.Pairs > 0 && p.id != limitsID {
			p.pairs = o.Pairs
		}
		e := Estimate{
			ID: p.id, Contenders: names(p.contenders), Pairs: p.pairs, Turns: p.pairs * len(p.contenders),
		}
		for range p.pairs {
			t := p.pairSeconds + o.startSeconds(p.contenders, running)
			if o.For > 0 && inSlice > 0 && inSlice+t > o.For.Seconds() {
				slice, inSlice, started = slice+1, 0, map[Contender]bool{}
				t = p.pairSeconds + o.startSeconds(p.contenders, running)
			}
			for _, c := range p.contenders {
				started[c] = true
			}
			inSlice += t
			e.Seconds += t
			if o.For > 0 {
				if e.Last = slice; e.First == 0 {
					e.First = slice
				}
			}
		}
		all = append(all, e)
	}
	return all
}

// startSeconds is what those contenders need that last and do not run yet.
func (o *Options) startSeconds(all []Contender, running func(Contender) bool) float64 {
	t := 0.0
	for _, c := range all {
		if c.lasts() && !running(c) {
			t += kafkaStartSeconds + o.WarmUp.Seconds()
		}
	}
	return t
}

// PrintList writes the estimates as a table.
func PrintList(w io.Writer, all []Estimate) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "case\tpairs\tturns\tseconds\tslice\tcontenders")
	total, last := 0.0, 0
	for _, e := range all {
		slice := "-"
		if e.Last > 0 {
			slice = strconv.Itoa(e.First)
			if e.Last > e.First {
				slice += "–" + strconv.Itoa(e.Last)
			}
		}
		total, last = total+e.Seconds, e.Last
		fmt.Fprintf(table, "%s\t%d\t%d\t%.0f\t%s\t%s\n", e.ID, e.Pairs, e.Turns, e.Seconds, slice,
			strings.Join(e.Contenders, " "))
	}
	fmt.Fprintf(table, "in all\t\t\t%.0f\t%d\t%s\n", total, last,
		time.Duration(total*float64(time.Second)).Round(time.Second))
	return table.Flush()
}
