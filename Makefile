# `make` alone prints what there is to make. Everything that CI runs is a target here: what passes at home passes there.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

MODULE   := github.com/voip-push/worker
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT   ?= $(shell git rev-parse --verify --quiet HEAD || echo unknown)
# One place for both, whichever binary asks.
LDFLAGS  := -X $(MODULE)/internal/telemetry.Version=$(VERSION) -X $(MODULE)/internal/telemetry.Commit=$(COMMIT)

TAGS     ?=                 # production leaves the embedded broker and the in-process Call Kit out of the worker
TAGS     := $(strip $(TAGS))
FUZZTIME ?= 30s
COVERAGE ?= 85
REGISTRY ?= ghcr.io/voip-push
# For a registry mirror or none at all: further --build-arg of the image, such as BUILD_IMAGE=… or GOPROXY=….
IMAGE_ARGS ?=

# Developers' tools are a module of their own, so that what they need never enters go.mod.
GOLANGCI := go tool -modfile=tools/go.mod golangci-lint
SCORE    := go tool -modfile=tools/kube-score/go.mod -n kube-score

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## all three binaries into bin/ (TAGS=production as the image has them)
	CGO_ENABLED=0 go build -trimpath -tags '$(TAGS)' -ldflags '-s -w $(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: demo
demo: ## the whole system in one process, fed with one push of every kind
	go run ./cmd/worker demo

.PHONY: test
test: ## every test, shuffled, under the race detector; the faults in their short form
	go test -race -shuffle=on ./...
	go test -tags production -run NoEmbedded ./cmd/worker ./internal/broker
	cd chaos && go test -race -shuffle=on -parallel 4 .
	cd bench && go test -shuffle=on .

.PHONY: chaos
chaos: ## the faults in their long form, some 20 minutes; CHAOS='-seed 7 -run TestRoll' for one of them again
	cd chaos && go test -count=1 -v -timeout 60m -long $(CHAOS) .

.PHONY: cover
cover: ## statement coverage of internal/ over all tests; fails under COVERAGE (85)
	go test -coverpkg=./internal/... -coverprofile=coverage.out ./... >coverage.txt || { cat coverage.txt; exit 1; }
	@go tool cover -func=coverage.out | awk -v want=$(COVERAGE) \
		'$$1 == "total:" { seen = 1; got = $$3 + 0 } \
		END { if (!seen) { print "no total in the profile"; exit 1 } \
			printf "coverage of internal/: %.1f %% (at least %s %%)\n", got, want; exit got < want }'

.PHONY: lint
lint: ## formatting, vet, modernizers, import rules, golangci-lint; each for both sets of build tags
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not gofmt'd: $$unformatted"; exit 1; }
	go vet ./...
	go vet -tags production ./...
	go fix -diff ./...
	go fix -diff -tags production ./...
	go mod tidy -diff
	for module in chaos bench; do \
		(cd $$module && go vet . && go fix -diff . && go mod tidy -diff && go tool -modfile=../tools/go.mod golangci-lint run .); \
	done
	go test ./internal/arch
	$(GOLANGCI) run ./...
	$(GOLANGCI) run --build-tags production ./...

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (30s) each
	@go test -list '^Fuzz' ./... | awk '/^Fuzz/ { names[++n] = $$1 } /^ok/ { for (i = 1; i <= n; i++) print $$2, names[i]; n = 0 }' | \
	while read -r package target; do \
		echo "$$package $$target"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime '$(FUZZTIME)' -fuzzminimizetime 20x "$$package"; \
	done

# The benchmarks of what every push goes through; BASELINE is what they are compared with.
HOT      := ./internal/broker ./internal/callkit ./internal/consumer ./internal/voip
BASELINE := bench/baseline.txt

.PHONY: bench
bench: ## the hot path against its baseline; the worker beside null workers and watermill: backlog and latency (BENCH=…)
	go test -run '^$$' -bench . -count 6 -benchtime 200ms $(HOT) >bench.txt
	cd bench && go tool benchstat '$(abspath $(BASELINE))' ../bench.txt
	cd bench && go run . $(BENCH)
	cd bench && go run . -latency -only null-claims,worker-always,worker-msgid,watermill-64 $(BENCH)

.PHONY: baseline
baseline: ## the hot path's present figures as the new baseline
	go test -run '^$$' -bench . -count 6 -benchtime 200ms $(HOT) >$(BASELINE)

.PHONY: profile
profile: ## CPU and allocations of the hot path's benchmarks: the top entries, and cpu.out, mem.out for go tool pprof
	go test -run '^$$' -bench Handle -benchtime 3s -cpuprofile cpu.out -memprofile mem.out -o consumer.test ./internal/consumer
	go tool pprof -top -cum -nodecount 30 consumer.test cpu.out
	go tool pprof -top -sample_index alloc_space -nodecount 20 consumer.test mem.out

.PHONY: docs
docs: ## write the generated pages again (docs/configuration.md, docs/cli, deploy/monitoring)
	go generate ./...
	go run -C tools/monitoring . -root ../.. -write

# What it asks for beyond topology spread constraints, and tags that a release never moves.
SCORE_IGNORE := container-image-pull-policy,deployment-has-host-podantiaffinity,statefulset-has-host-podantiaffinity

.PHONY: manifests
manifests: ## render deploy/k8s in every combination, check it strictly, and score it
	@mkdir -p bin/manifests && rm -f bin/manifests/*
	go run -C tools/manifests . -root ../.. -out ../../bin/manifests
	@score=$$($(SCORE)); for file in bin/manifests/*.yaml; do \
		$$score score -o ci --exit-one-on-warning --ignore-test $(SCORE_IGNORE) "$$file" >bin/manifests/score.txt || \
			{ echo "$$file:"; grep -E '^.(CRITICAL|WARNING)' bin/manifests/score.txt; exit 1; }; \
	done
	@echo 'kube-score has nothing to say'

.PHONY: monitoring
monitoring: ## rules and dashboard: syntax, tests, and that each metric is one that a worker exposes (needs promtool)
	promtool check rules deploy/monitoring/rules.yaml
	promtool test rules deploy/monitoring/rules_test.yaml
	promtool check metrics <deploy/monitoring/metrics.prom
	go run -C tools/monitoring . -root ../..

.PHONY: workflows
workflows: ## .github/workflows
	go tool -modfile=tools/actionlint/go.mod actionlint

.PHONY: test-tools
test-tools: ## that the two checks above find what they are there for
	go test -C tools/manifests ./...
	go test -C tools/monitoring ./...

.PHONY: image
image: ## both container images, with docker or, where no daemon answers, buildah
	@build='docker build'; \
	if ! docker info >/dev/null 2>&1; then build='buildah bud --isolation chroot --format docker'; fi; \
	for target in worker tools; do \
		$$build --target $$target -t '$(REGISTRY)'/$$target:'$(VERSION)' -t '$(REGISTRY)'/$$target:devel \
			--build-arg VERSION='$(VERSION)' --build-arg COMMIT='$(COMMIT)' $(IMAGE_ARGS) .; \
	done

.PHONY: clean
clean: ## what make has made
	rm -rf bin coverage.out coverage.txt bench.txt cpu.out mem.out consumer.test
