# Strøm's build. `make` prints what there is.

GO       ?= go
GOFLAGS  ?= -buildvcs=false
export GOFLAGS
BIN      := bin
TOOLS    := .bin
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
DATE     ?= $(shell git log -1 --format=%cI 2>/dev/null || echo unknown)
VERSION_PKG := github.com/stroem/stroem/core/version
LDFLAGS  := -s -w -X $(VERSION_PKG).Version=$(VERSION) -X $(VERSION_PKG).Commit=$(COMMIT) -X $(VERSION_PKG).Date=$(DATE)
PROGRAMS := $(notdir $(wildcard cmd/*))
PLUGINS  := $(notdir $(wildcard plugins/*))
E2E      := ./tests/e2e/...
# Tests share one PostgreSQL, one Docker engine and one Kubernetes, which these start.
WITH_PG  := scripts/with-postgres
WITH_DOCKER := scripts/with-docker
WITH_KUBE := scripts/with-kube
TEST     := $(GO) test -race -timeout 20m
# Only tests are built with the race detector. All else is built with these flags, so that it is compiled once.
PLAIN    := CGO_ENABLED=0 GOFLAGS='$(GOFLAGS) -trimpath'
EXAMPLES := pluginapi/examples
BUF       = $(GO) tool -modfile=tools/proto/go.mod buf
# The plugin protocol of the last release, with which plugins out there were built.
RELEASED := pluginapi/proto/released.yaml
# Packages that use a database in their tests, and those that do not.
PACKAGES  = $(GO) list -f '{{.ImportPath}} {{.TestImports}} {{.XTestImports}}' ./...
WITH_DB   = $(PACKAGES) | grep core/coretest | grep -v '/tests/e2e ' | cut -d ' ' -f 1
# Plugins whose tests need an engine.
DOCKER_PLUGIN := $(wildcard plugins/runner-docker)
KUBE_PLUGIN := $(wildcard plugins/runner-kube)
# Packages whose tests run on engines or on the built programs. They keep a machine busy, so they run one after another.
ENGINE_TESTS = $(E2E) ./tests/enclosure ./tests/images ./tests/tools/with-docker ./tests/tools/with-kube \
	$(DOCKER_PLUGIN:%=./%/...) $(KUBE_PLUGIN:%=./%/...)
WITHOUT_ENGINES = { $(GO) list ./...; $(GO) list $(ENGINE_TESTS); } | sort | uniq -u
WITHOUT_DB = $(PACKAGES) | grep -v core/coretest | cut -d ' ' -f 1

.DEFAULT_GOAL := help

##@ Start here

.PHONY: help
help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9\/-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: postgres build ## Run the sample workspace: a workflow that works and one that fails
	scripts/demo

.PHONY: test
test: postgres node chromium s3 ## Run all tests, with the race detector
	$(WITH_PG) $(TEST) $$($(WITHOUT_ENGINES))
	$(WITH_PG) $(WITH_DOCKER) $(WITH_KUBE) $(TEST) -p 1 $(ENGINE_TESTS)

##@ Build

.PHONY: build
build: ## Build the programs into bin/ and the plugins into bin/plugins/
	@mkdir -p $(BIN)/plugins
	$(PLAIN) $(GO) build -ldflags '$(LDFLAGS)' -o $(BIN)/ $(PROGRAMS:%=./cmd/%)
	$(PLAIN) $(GO) build -ldflags '-s -w -X main.version=$(VERSION)' -o $(BIN)/plugins/ $(PLUGINS:%=./plugins/%)

.PHONY: build/cross
build/cross: ## Check that the programs build for Windows and macOS
	$(PLAIN) GOOS=windows $(GO) build -o /dev/null ./cmd/... ./plugins/...
	$(PLAIN) GOOS=darwin $(GO) build -o /dev/null ./cmd/... ./plugins/...

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BIN) $(TOOLS) bench

##@ Test

.PHONY: test/unit
test/unit: ## Run the tests that need no database
	$(TEST) $$($(WITHOUT_DB))

.PHONY: test/integration
test/integration: postgres ## Run the tests of packages on a real PostgreSQL
	$(WITH_PG) $(TEST) $$($(WITH_DB))

.PHONY: test/e2e
test/e2e: postgres node s3 ## Run the golden scenarios and crash tests on the built programs
	$(WITH_PG) $(TEST) $(E2E)

.PHONY: test/docker
test/docker: export STROEM_TEST_REQUIRE := $(STROEM_TEST_REQUIRE),docker
test/docker: postgres ## Run the tests that need Docker, on an engine of their own: needs Linux and root
	$(WITH_DOCKER) $(TEST) ./tests/enclosure ./tests/tools/with-docker ./tests/images $(DOCKER_PLUGIN:%=./%/...)
	$(WITH_PG) $(WITH_DOCKER) $(TEST) $(E2E) -run Docker

.PHONY: test/kube
test/kube: export STROEM_TEST_REQUIRE := $(STROEM_TEST_REQUIRE),kube
test/kube: postgres ## Run the tests that need Kubernetes, on a cluster of their own: needs Linux and root
	$(WITH_KUBE) $(TEST) ./tests/tools/with-kube $(KUBE_PLUGIN:%=./%/...)
	$(WITH_PG) $(WITH_KUBE) $(TEST) $(E2E) -run Kube

.PHONY: examples
examples: node build ## Build the example plugins into bin/examples, test them, and check them as third parties do
	scripts/examples

.PHONY: test/race
test/race: test ## The same as `make test`

.PHONY: fuzz
fuzz: ## Run every fuzz target for 10 seconds
	scripts/fuzz 10s

.PHONY: bench
bench: postgres build ## Measure P1 to P5, P7 to P9, workspaces (W1, W2) and the plugin boundary; writes bench/; only=B1,P2
	$(WITH_PG) --durable env $(PLAIN) $(GO) run ./tests/bench -bin $(BIN) -out bench -only '$(only)'

.PHONY: bench/containers
bench/containers: build ## Measure steps in containers and pods (C1, C2); writes bench/containers/
	$(WITH_DOCKER) $(WITH_KUBE) env $(PLAIN) $(GO) run ./tests/bench -bin $(BIN) -out bench/containers -only C1,C2

.PHONY: bench/logs
bench/logs: postgres ## Measure opening, searching and downloading a log of 1 GiB
	STROEM_BENCH_LOG_MIB=1024 $(WITH_PG) $(GO) test ./core/joblog ./core/httpapi -run '^$$' -bench 'Search|Open|LargeLog' -benchtime 1x -timeout 30m

.PHONY: nightly
nightly: ci bench bench/containers bench/logs ## All of CI, the benchmarks, longer fuzzing, 1,000 starts of plugins, a database that is frozen for 30 s, an archived log of 1 GiB, an image on Debian
	scripts/fuzz 60s
	STROEM_TEST_FREEZE_SECS=30 $(WITH_PG) $(TEST) $(E2E) -run TestDatabaseFaults -v
	STROEM_TEST_LOG_MIB=1024 $(WITH_PG) $(GO) test $(E2E) -run TestLargeArchivedLog -v
	$(WITH_DOCKER) $(TEST) -tags debian ./tests/images -run OnDebian -v
	STROEM_TEST_PLUGIN_STARTS=1000 $(GO) test ./core/pluginhost -run TestNothingIsLeftBehind -v

##@ Check

.PHONY: lint
lint: $(TOOLS)/golangci-lint ## Run the linters
	$(PLAIN) $(TOOLS)/golangci-lint run ./...
	cd $(EXAMPLES)/runner-http && $(PLAIN) ../../../$(TOOLS)/golangci-lint run -c ../../../.golangci.yml ./...
	$(BUF) lint
	$(BUF) breaking --against $(RELEASED)

.PHONY: generate
generate: postgres ## Make again what is generated: plugin protocol, its documents, JSON Schemas, database schema
	$(BUF) generate
	$(PLAIN) $(GO) generate ./...
	@# A plugin brings along the protocol that it was written for; both examples offer the same action type.
	cp pluginapi/proto/stroem/plugin/v1/*.proto $(EXAMPLES)/runner-node/proto/stroem/plugin/v1/
	cp $(EXAMPLES)/runner-http/schema/*.json $(EXAMPLES)/runner-node/schema/
	@mkdir -p $(TOOLS)
	$(BUF) build -o $(TOOLS)/protocol.binpb
	$(PLAIN) $(GO) run ./tests/tools/protodoc <$(TOOLS)/protocol.binpb >$(TOOLS)/reference.md
	@cmp -s $(TOOLS)/reference.md docs/plugins/reference.md || cp $(TOOLS)/reference.md docs/plugins/reference.md
	$(PLAIN) $(GO) run ./tests/tools/rulesdoc >$(TOOLS)/rules.md
	@cmp -s $(TOOLS)/rules.md docs/plugins/rules.md || cp $(TOOLS)/rules.md docs/plugins/rules.md
	env -u STROEM_TEST_DATABASE_URL $(WITH_PG) env $(PLAIN) $(GO) run ./tests/tools/schema >$(TOOLS)/schema.sql
	@cmp -s $(TOOLS)/schema.sql db/schema.sql || cp $(TOOLS)/schema.sql db/schema.sql

.PHONY: verify
verify: ## Fail if something generated is not current
	scripts/verify

.PHONY: ci
ci: ## All that a change has to pass, with seconds per stage
	scripts/ci

##@ Develop

.PHONY: db/new
db/new: ## Add a migration: make db/new name=add_table
	@echo '$(name)' | grep -Eqx '[a-z0-9_]+' || \
		{ echo 'Say its name in lower case letters, digits and _: make db/new name=add_table' >&2; exit 2; }
	@file=db/migrations/$$(date -u +%Y%m%d%H%M%S)_$(name).sql; \
	printf -- '-- migrate:up\n\n-- migrate:down\n' >"$$file" && echo "$$file"

.PHONY: protocol/release
protocol/release: ## Keep the plugin protocol as that of the release that is being made; make lint compares with it
	$(BUF) build --exclude-source-info -o $(RELEASED)

.PHONY: tools
tools: $(TOOLS)/golangci-lint ## Build the linter, which takes minutes once

.PHONY: postgres
postgres: ## Install PostgreSQL where that can be done, else say how
	@scripts/install-postgres

.PHONY: node
node: ## Install Node where that can be done, else say how
	@scripts/install-node

.PHONY: chromium
chromium: ## Install Chromium where that can be done, else say how
	@scripts/install-chromium

.PHONY: s3
s3: ## Build the S3 server on which tests run, which takes minutes once
	@scripts/build-s3

.PHONY: kube
kube: ## Build the Kubernetes on which tests run, which takes minutes once, and install what it needs, or say how
	@scripts/install-kube
	@scripts/build-kube

$(TOOLS)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	@mkdir -p $(TOOLS)
	cd tools/lint && $(PLAIN) $(GO) build -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
