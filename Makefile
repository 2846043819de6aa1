# make check test is what a change must pass; .ci/run runs the rest as well.

GO       ?= go
FUZZTIME ?= 20s

.PHONY: all build fmt check test race fuzz mutants leaks bench falsehits crash differ demo sample clean

all: check test

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/gateway ./cmd/gateway

fmt:
	gofmt -w cmd internal policies test

check:
	@test -z "$$(gofmt -l cmd internal policies test)" || { gofmt -l cmd internal policies test; echo "run make fmt"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) run ./cmd/gateway check
	$(GO) run ./cmd/gateway fmt --check
	$(GO) run ./cmd/gateway test

test:
	$(GO) test ./...

race:
	$(GO) test -race ./...

# Every fuzz target for FUZZTIME, one after the other. What is only interesting is not made small:
# by default that takes a minute of each.
fuzz:
	@for pkg in $$($(GO) list ./...); do \
	  for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s $$pkg || exit 1; \
	  done; \
	done

# The code broken on purpose, one break at a time: the tests of each promise must go red.
mutants:
	$(GO) run ./test/mutants

# Accepted and delivered messages a second, in turn with a Postfix that does no content work.
bench:
	$(GO) run ./test/bench

# How often the leak check holds a message of $CORPUS that names nobody: fifty registers of 100,000 people.
falsehits:
	FALSEHITS=50 $(GO) test -count=1 -timeout 60m -run TestFalseHits -v ./internal/gateway

# Generated mail with canaries in every channel, and builds with one defence off; about an hour.
# LEAKS=N sends another number; docs/leaks.md is written.
leaks:
	UPDATE=1 LEAKS=$${LEAKS:-100000} LEAKS_DEFENCES=100 $(GO) test -count=1 -timeout 3h -run 'TestLeaks$$|TestDefences' -v ./test

# kill -9 under load at random points, then a restart.
crash:
	CRASH_KILLS=200 $(GO) test -count=1 -timeout 30m -run 'TestCrash' -v ./test

# 50,000 mutated messages read by us, by Python's email and by npm's mailparser and postal-mime.
differ: test/peers/node_modules
	DIFFER=$${DIFFER:-50000} $(GO) test -count=1 -timeout 60m -run TestReadersAgree -v ./test/differ

test/peers/node_modules: test/peers/package-lock.json
	npm ci --prefix test/peers --no-audit --no-fund --ignore-scripts

demo:
	$(GO) run ./cmd/gateway demo --once

# The files that are made from the code.
sample:
	$(GO) test ./cmd/gateway -run TestSampleIsFresh -update

clean:
	rm -rf bin
