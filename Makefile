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
IMAGE    ?= ghcr.io/voip-push/worker:$(VERSION)
# For a registry mirror or none at all: further --build-arg of the image, such as BUILD_IMAGE=… or GOPROXY=….
IMAGE_ARGS ?=

# Developers' tools are a module of their own, so that what they need never enters go.mod.
GOLANGCI := go tool -modfile=tools/go.mod golangci-lint

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
	cd chaos && go test -race -shuffle=on -parallel 6 .

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
	cd chaos && go vet . && go fix -diff . && go mod tidy -diff && go tool -modfile=../tools/go.mod golangci-lint run .
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

.PHONY: docs
docs: ## write the generated pages again (docs/configuration.md)
	go generate ./...

.PHONY: manifests
manifests: ## render every overlay of deploy/k8s; prints only what is wrong
	@for kustomization in $$(git ls-files -co --exclude-standard 'deploy/k8s/**/kustomization.yaml' 'deploy/k8s/kustomization.yaml'); do \
		grep -q '^kind: Component' "$$kustomization" && continue; \
		echo "$$(dirname "$$kustomization")"; \
		kubectl kustomize "$$(dirname "$$kustomization")" >/dev/null; \
	done

.PHONY: image
image: ## the container image, with docker or, where no daemon answers, buildah
	@args=(-t '$(IMAGE)' --build-arg VERSION='$(VERSION)' --build-arg COMMIT='$(COMMIT)' $(IMAGE_ARGS)); \
	if docker info >/dev/null 2>&1; then docker build "$${args[@]}" .; \
	elif command -v buildah >/dev/null; then \
		buildah bud --isolation chroot --format docker "$${args[@]}" .; \
	else echo 'neither a docker daemon nor buildah is here'; exit 1; fi

.PHONY: clean
clean: ## what make has made
	rm -rf bin coverage.out coverage.txt
