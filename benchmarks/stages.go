package benchmarks

import (
	"math"

	"sluice/benchmarks/measure"
	"sluice/benchmarks/result"
)

// brokerParts are the broker's stages that follow each other in the life of a request
// (docs/METRICS.md). "total" is their sum by another clock, and "throttle" a time in which the
// answer has been given already.
var brokerParts = []string{"queue", "local", "remote", "poll", "send"}

// clientStages says by which stage the client timed each kind of request.
var clientStages = map[string][]string{
	"Produce": {result.StageWire},
	"Fetch":   {result.StageFetch, result.StageCatchup},
}

// explain compares the broker's own account of its requests with the client's: the mean of each
// stage over all requests of a kind, also those that were not in it, so that the stages add up; the
// client's mean from request written to response read; and how much of it the stages explain. What
// is left is the network, the kernel, and the client itself. It is nil if the broker tells nothing.
func explain(stages []measure.Stage, client map[string]*result.Histogram) *result.StageSum {
	sum := &result.StageSum{
		MeanMicros:   map[string]map[string]float64{},
		ClientMicros: map[string]float64{}, Explained: map[string]float64{},
		Within5Percent: map[string]bool{},
	}
	for request, names := range clientStages {
		means, total := meanMicros(stages, request)
		if means == nil {
			continue
		}
		sum.MeanMicros[request] = means
		micros, ok := clientMicros(client, names)
		if !ok {
			continue
		}
		sum.ClientMicros[request] = micros
		sum.Explained[request] = total / micros
		sum.Within5Percent[request] = math.Abs(1-total/micros) <= explainedMargin
	}
	if len(sum.MeanMicros) == 0 {
		return nil
	}
	return sum
}

// meanMicros gives each stage's time over all requests of a kind, and their sum. The number of
// requests is that of the stage which all of them pass.
func meanMicros(stages []measure.Stage, request string) (means map[string]float64, total float64) {
	requests := uint64(0)
	for _, name := range brokerParts {
		if s, ok := measure.StageOf(stages, request, name); ok {
			requests = max(requests, s.Count)
		}
	}
	if requests == 0 {
		return nil, 0
	}
	means = map[string]float64{}
	for _, name := range brokerParts {
		if s, ok := measure.StageOf(stages, request, name); ok {
			means[name] = s.SumSeconds * 1e6 / float64(requests)
			total += means[name]
		}
	}
	return means, total
}

// clientMicros is the mean over several of the client's histograms.
func clientMicros(client map[string]*result.Histogram, names []string) (float64, bool) {
	all := result.NewHistogram()
	for _, name := range names {
		if h := client[name]; h != nil {
			all.Merge(h)
		}
	}
	return all.Mean() / 1e3, all.Count() > 0 && all.Mean() > 0
}
