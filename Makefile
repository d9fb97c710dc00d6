# The only entry to building, running and testing RaftKV: make help lists the targets.

GO ?= go
# The first of three ports each, for make run.
PORT ?= 6379
HTTP_PORT ?= 8080
RAFT_PORT ?= 8000
# How long each fuzz target runs, and how many rounds of kill -9 make kill does.
FUZZTIME ?= 20s
ROUNDS ?= 100
WRITERS ?= 8
# How long make chaos makes faults, on how many nodes, and by which schedule (0 draws one).
DURATION ?= 4m
NODES ?= 3
SEED ?= 0
# How many keys, and members of each collection, make scan walks over.
KEYS ?= 1000000
# How many commands make compat runs; SEED decides them, too, and ONLY is a group or a command there.
COMMANDS ?= 1000000
# Which parts make bench measures (all), small sizes for development (1), systems that take no
# part, and where the servers' data goes: a disk, not memory.
ONLY ?=
QUICK ?=
WITHOUT ?=
DATA ?=

COMMIT := $(shell git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)
LDFLAGS := -X github.com/raftkv/raftkv/server/config.commit=$(COMMIT)
# Every Go file of ours, but not what the editor or a run left behind.
SOURCES = $(shell find . -name '*.go' -not -path './.*' -not -path './data/*')

.DEFAULT_GOAL := help
.PHONY: help build run test race lint fuzz kill powerloss limits security chaos scan bench compat cover docs clean redis strace peers left-out

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build ./raftkv
	$(GO) build -ldflags "$(LDFLAGS)" -o raftkv ./cmd/server

run: build ## run three nodes on this machine until Ctrl-C (PORT=, HTTP_PORT=, RAFT_PORT= move them)
	@./raftkv run-local --port $(PORT) --http-port $(HTTP_PORT) --raft-port $(RAFT_PORT)

test: redis strace ## run all tests; installs redis-tools and strace with apt-get where it may
	$(GO) test -timeout 20m ./...
	@$(MAKE) --no-print-directory left-out

race: redis strace ## run all tests under the race detector
	$(GO) test -race -timeout 40m ./...
	@$(MAKE) --no-print-directory left-out

lint: ## gofmt, go vet, staticcheck and the rules of the architecture
	@unformatted=$$(gofmt -l $(SOURCES)); \
	if [ -n "$$unformatted" ]; then echo "gofmt these:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) test ./tests/arch

# Where a target ends with nothing but this line it found nothing: Go before 1.27 takes the
# end of its time for a failure now and then (golang/go#75804). It is run again, up to
# twice; what was found names its input, and is never tried again.
DEADLINE := ^    context deadline exceeded$$

fuzz: ## run each fuzz target for FUZZTIME (20s)
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && \
	once() { { $(GO) test -run '^$$' -fuzz "^$$2\$$" -fuzztime $(FUZZTIME) "$$1" 2>&1 || echo "FAILED $$2"; } | tee "$$log"; ! grep -q "^FAILED $$2\$$" "$$log"; } && \
	late() { grep -q '$(DEADLINE)' "$$log" && ! grep -q 'Failing input' "$$log"; } && \
	grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r dir; do \
		for target in $$(grep -h -o '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | sed 's/func //'); do \
			echo "$$dir $$target"; \
			once "$$dir" $$target || { late && once "$$dir" $$target; } || { late && once "$$dir" $$target; } || exit 1; \
		done; \
	done

kill: ## kill -9 a random node ROUNDS (100) times under WRITERS (8) clients and count what was lost
	RAFTKV_KILL_ROUNDS=$(ROUNDS) RAFTKV_KILL_WRITERS=$(WRITERS) $(GO) test -count=1 -timeout 2h -v -run '^TestKillUnderLoad$$' ./tests/cluster

chaos: ## put NODES (3) nodes under faults for DURATION (4m) and check what clients saw; SEED=n repeats a run
	$(GO) run ./tests/chaos/run -nodes $(NODES) -seed $(SEED) -duration $(DURATION)

stale: ## try ROUNDS (100) times to get a stale read from a deposed leader, without and with a learner
	RAFTKV_STALE_ROUNDS=$(ROUNDS) $(GO) test -count=1 -timeout 2h -v -run '^TestNoStaleRead$$' ./tests/cluster

scan: ## walk over KEYS (1000000) keys and members during writes, kill -9 and restores, and count what was not shown
	RAFTKV_SCAN_KEYS=$(KEYS) $(GO) test -count=1 -timeout 30m -v -run '^TestScanDuringWrites$$' ./tests/cluster

limits: ## try to break every limit with the sizes of a stranger who means it, and print what held
	RAFTKV_LIMITS=full $(GO) test -count=1 -timeout 30m -v ./tests/limits

security: ## try to get in, as a stranger and as a user who may do little, and print what came of it
	$(GO) test -count=1 -timeout 30m -v ./tests/security

compat: redis ## run COMMANDS (1000000) random commands here and on a real Redis and compare all replies; SEED=n ONLY=hash
	$(GO) run ./tests/compat/run -commands $(COMMANDS) -seed $(SEED) -only "$(ONLY)"

powerloss: ROUNDS = 20
powerloss: ## cut the power of one and of three nodes ROUNDS (20) times under load and count what was lost (root)
	RAFTKV_POWERLOSS_ROUNDS=$(ROUNDS) $(GO) test -count=1 -timeout 2h -v -run '^TestPowerLoss$$' ./tests/disk

bench: ROUNDS = 3
bench: build peers ## measure beside Redis, etcd and a bare redcon, in ROUNDS (3); ONLY=kill,memory QUICK=1 WITHOUT=etcd DATA=DIR
	PATH="$(CURDIR)/$(ETCD)/usr/bin:$$PATH" $(GO) run ./tests/bench/run -raftkv ./raftkv -rounds $(ROUNDS) \
		-only "$(ONLY)" -without "$(WITHOUT)" -data "$(DATA)" $(if $(QUICK),-quick)

cover: ## run all tests and print how much of each function they reach
	$(GO) test -timeout 20m -coverprofile=cover.out ./...
	$(GO) tool cover -func=cover.out

docs: build ## write the command table of README.md anew from the declarations
	@{ sed '/^<!-- commands: begin/q' README.md; echo; ./raftkv commands; echo; sed -n '/^<!-- commands: end/,$$p' README.md; } > README.md.new
	@mv README.md.new README.md

clean: ## remove the binary, the data of make run, and what tests left; not what make bench wrote
	rm -rf raftkv data/run cover.out
	@rmdir data 2>/dev/null || true

# The tests compare with the real Redis. Debian's redis-tools carries the server,
# as redis-check-rdb, and starts no service.
redis:
	@if ! command -v redis-check-rdb >/dev/null && ! command -v redis-server >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "installing redis-tools for the tests"; \
			{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends redis-tools; } >/dev/null \
				|| echo "redis-tools could not be installed"; \
		fi; \
	fi

# The bench, and so its test, counts waits for the disk with strace.
strace:
	@if ! command -v strace >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing strace for the bench"; \
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends strace; } >/dev/null \
			|| echo "strace could not be installed"; \
	fi

# It compares with etcd, too. Debian's etcd-server would start a service when
# installed, so it is only unpacked.
ETCD := .build/etcd
peers: redis strace
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		if ! command -v etcd >/dev/null && ! [ -x $(ETCD)/usr/bin/etcd ]; then \
			echo "unpacking etcd-server for the bench"; \
			{ apt-get -qq update && mkdir -p $(ETCD) && cd $(ETCD) && apt-get -qq download etcd-server \
				&& dpkg -x etcd-server_*.deb . && rm etcd-server_*.deb; } >/dev/null 2>&1 \
				|| echo "etcd-server could not be fetched"; \
		fi; \
	fi

left-out:
	@left=; \
	if ! { redis-server --version || redis-check-rdb --version; } 2>/dev/null | grep -q '7\.0\.15'; then \
		echo "LEFT OUT: the comparison with the real Redis (install redis-tools, version 7.0.15)"; left=1; \
	fi; \
	if ! command -v strace >/dev/null; then \
		echo "LEFT OUT: counting waits for the disk, tests/bench (install strace)"; left=1; \
	fi; \
	if ! unshare -n true 2>/dev/null && ! unshare -Urn true 2>/dev/null; then \
		echo "LEFT OUT: the cluster under faults, tests/chaos (it needs Linux, and root or user namespaces)"; left=1; \
	fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v mkfs.ext4 >/dev/null || ! [ -e /dev/loop-control ]; then \
		echo "LEFT OUT: power loss, tests/disk (it needs root, mkfs.ext4 and loop devices)"; left=1; \
	fi; \
	if [ "$$(id -u)" != 0 ]; then \
		echo "LEFT OUT: full disks, tests/cluster and cluster/logstore (they need root)"; left=1; \
	fi; \
	if ! unshare -n sh -c 'ip link set lo up && command -v nsenter bash' >/dev/null 2>&1; then \
		echo "LEFT OUT: protected mode from another address, tests/security (it needs root, iproute2 and util-linux)"; left=1; \
	fi; \
	[ -z "$$left" ] || [ "$$CI" != true ]
