# Targets of Sluice. `make` alone lists them.
SHELL := /bin/bash
GO ?= go
BIN := bin/sluice
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
PACKAGES := ./...
FUZZTIME ?= 60s
BENCH_OUT ?= benchmarks/results/$(shell date +%F)-$(shell hostname)

.DEFAULT_GOAL := help
.PHONY: help build run test race fuzz sim txncheck bench bench-idle bench-allocs bench-strace bench-suite bench-slice bench-list \
	bench-report bench-limits bench-compare bench-peer-kafka bench-peer-kfake bench-peer-nats lint fmt long interop clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/sluice, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/sluice

run: build ## build and start a broker on 127.0.0.1:9092 with its data in ./data
	./$(BIN) server --override listeners=PLAINTEXT://127.0.0.1:9092 --override log.dirs=./data

test: ## every test: unit, transcripts, fuzz seeds, real Go clients against the built binary
	$(GO) test $(PACKAGES)

race: ## the same tests under the race detector
	$(GO) test -race $(PACKAGES)

fuzz: ## every fuzz target for FUZZTIME each (default 60s)
	FUZZTIME=$(FUZZTIME) ./scripts/fuzz.sh

SEED ?=
SEEDS ?= 2000
sim: ## the simulations of groups and transactions, SEEDS of them (default 2000); SEED=n replays one
	SIM_SEED=$(SEED) SIM_SEEDS=$(SEEDS) $(GO) test -count=1 -timeout 60m -run TestSimulation ./engine/group ./engine/txn

TXNCHECK_SECONDS ?= 60
TXNCHECK_MUTANTS ?= 2
txncheck: ## transactions of both protocols while the broker is killed, TXNCHECK_SECONDS (60) each, and two mutants
	TXNCHECK_SECONDS=$(TXNCHECK_SECONDS) TXNCHECK_MUTANTS=$(TXNCHECK_MUTANTS) $(GO) test -count=1 -v -timeout 90m ./cmd/sluice/e2etest/txncheck

bench: ## micro-benchmarks beside the code
	$(GO) test -run '^$$' -bench . -benchmem $(PACKAGES)

bench-idle: build ## time to the first answer, idle memory and idle CPU of the built binary
	$(GO) run ./scripts/benchidle -bin $(BIN)

bench-allocs: build ## heap objects per request under load, from the built binary's own counters
	$(GO) run ./scripts/benchallocs -bin $(BIN)

bench-strace: build ## what the built binary reads from log files while 1 GiB is fetched, by strace
	BIN=$(BIN) ./scripts/straceproof.sh

BENCH_CASES ?=
bench-suite: build ## Sluice beside Apache Kafka, NATS, a fake and the limits of this box, then the report (an hour and more)
	$(GO) run ./benchmarks/cmd/suite -out $(BENCH_OUT) -bin $(BIN) -only '$(BENCH_CASES)'
	$(GO) run ./benchmarks/cmd/report $(BENCH_OUT)

# One slice of the plan: at most BENCH_FOR, into BENCH_OUT, beginning where the last one stopped. It fails
# with suite's exit code 3 while there is more to do.
BENCH_FOR ?= 8m
bench-slice: build ## up to BENCH_FOR (8m) of bench-suite, going on where BENCH_OUT stands; no report
	$(GO) build -o bin/suite ./benchmarks/cmd/suite
	./bin/suite -out $(BENCH_OUT) -bin $(BIN) -only '$(BENCH_CASES)' -more -for $(BENCH_FOR)

bench-list: ## the plan of bench-suite with estimated times and slices of BENCH_FOR
	@$(GO) run ./benchmarks/cmd/suite -only '$(BENCH_CASES)' -list -for $(BENCH_FOR)

bench-report: ## tables, verdicts, plots from the raw results in BENCH_OUT: report.html and README.md
	$(GO) run ./benchmarks/cmd/report $(BENCH_OUT)

LIMIT_CASES := ^(limits|fetch-.*-discarding|produce-.*|small-64c|latency-1c)$$
bench-limits: build ## what this box could do at all, by small C programs and the same client
	$(GO) run ./benchmarks/cmd/suite -out bin/limits -bin $(BIN) -only '$(LIMIT_CASES)' -targets '^limit-' -pairs 3

COMPARE_FLAGS ?=
bench-compare: ## this tree against the revision REF, in turns; fails on a regression
	$(GO) run ./benchmarks/cmd/compare -ref $(REF) $(COMPARE_FLAGS)

PEER_BENCH = $(BIN) bench $(1) -b $$BOOTSTRAP --broker-pid $$BROKER_PID --target-name $$BROKER_NAME --duration 10s
bench-peer-kafka bench-peer-kfake: build ## one peer: install, start, measure, stop, clean
	$(GO) run ./benchmarks/peers/cmd/peer $(@:bench-peer-%=%) -bench '$(call PEER_BENCH,produce)' \
		-bench '$(call PEER_BENCH,consume)'

bench-peer-nats: ## NATS JetStream likewise, throughput only, by its own client
	$(GO) run ./benchmarks/peers/cmd/peer nats -bench '$$BROKER_DRIVER publish -addr $$BOOTSTRAP' \
		-bench '$$BROKER_DRIVER consume -addr $$BOOTSTRAP'

lint: ## vet, staticcheck, gofumpt
	$(GO) vet $(PACKAGES)
	$(GO) vet -tags interop ./interop/...
	cd benchmarks/peers/kfake && $(GO) vet .
	cd benchmarks/peers/nats && $(GO) vet .
	$(GO) tool staticcheck $(PACKAGES)
	@out=$$(git ls-files '*.go' | xargs $(GO) tool gofumpt -l); \
	if [ -n "$$out" ]; then echo "gofumpt would change:"; echo "$$out"; exit 1; fi

fmt: ## format every Go file
	git ls-files '*.go' | xargs $(GO) tool gofumpt -w

interop: build ## real clients and Apache Kafka itself, each installed from its registry
	SLUICE_BIN=$(CURDIR)/$(BIN) ./interop/run.sh

long: ## the long explorations whole: crash points, simulation, fuzzing (an hour and more)
	./scripts/long.sh

clean: ## remove what the build made (not ./data)
	rm -rf bin
