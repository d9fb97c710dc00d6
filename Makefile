# The only entry to building, running and testing. `make help` prints the targets.
.DEFAULT_GOAL := help
.PHONY: help build run test race lint fuzz kill cover clean redis

# Where `make run` listens: the first of three ports each.
PORT      ?= 6379
HTTP_PORT ?= 8080
RAFT_PORT ?= 8000
# How long each fuzzer runs, and how many nodes `make kill` kills.
FUZZTIME  ?= 30s
ROUNDS    ?= 100


help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./raftkv
	go build -o raftkv ./cmd/server

run: build ## three nodes on this machine, until Ctrl-C (PORT=, HTTP_PORT=, RAFT_PORT= move them)
	@./raftkv run-local --port $(PORT) --http-port $(HTTP_PORT) --raft-port $(RAFT_PORT) --data-dir data/run

test: redis ## all tests; installs redis-tools if it may, and names what it left out
	go test -timeout 15m ./...
	@command -v redis-server redis-check-rdb >/dev/null || echo "LEFT OUT: the comparisons with a real redis-server (install redis-tools)"

race: redis ## all tests under the race detector
	go test -race -timeout 30m ./...

lint: ## gofmt, vet, staticcheck, the rules of the architecture
	@out="$$(gofmt -l .)"; if [ -n "$$out" ]; then echo "gofmt would change:"; echo "$$out"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	go test ./tests/arch

fuzz: ## every fuzzer for FUZZTIME
	@for pkg in $$(go list ./...); do \
		for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

kill: ## kill -9 of a random node under load, ROUNDS times, with an audit of every acknowledged write
	RAFTKV_KILL_ROUNDS=$(ROUNDS) go test -count=1 -timeout 60m -v -run '^TestKill' ./tests/cluster

cover: redis ## test coverage by package
	go test -cover ./...

clean: ## remove what was built and what make run stored
	rm -rf raftkv data/run .build

# The tests compare with the real Redis; redis-tools alone carries its binary.
redis:
	@command -v redis-server redis-check-rdb >/dev/null && command -v redis-cli >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-tools; \
	else echo "redis-tools is not installed, and only root can install it: some comparisons are left out"; fi
