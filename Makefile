# Conduit. `make` lists what can be done; `make run` and `make test` are all a newcomer needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR
CONFIG ?= conf/quickstart.yaml
# cargo-deny is fetched and compiled: it is asked for on its own, not by every CI run.
CARGO_DENY_VERSION := 0.20.2

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: tools
tools: ## Install what a build needs and a fresh machine lacks (cmake, a C compiler)
	@packaging/tools.sh

.PHONY: build
build: tools ## Build the release binary: $CARGO_TARGET_DIR/release/conduit
	cargo build --release --locked --bin conduit

.PHONY: run
run: build ## Build and start a gateway on http://127.0.0.1:8080 (CONFIG=file for another configuration)
	@packaging/hint.sh "$(CONFIG)"
	@exec "$(CARGO_TARGET_DIR)/release/conduit" run --config "$(CONFIG)"

.PHONY: test
test: tools sdk ## Run every test, from nothing
	@packaging/tools.sh test
	# One build for programs and tests: apart, they would choose different features and build twice.
	cargo build --locked --workspace --all-targets
	CONDUIT_SDK_DIR="$$(tests/sdk/install.sh)" cargo test --locked --workspace

.PHONY: test-fast
test-fast: tools ## Run the unit tests only
	cargo test --locked --workspace --lib

.PHONY: sdk
sdk: ## Install the official SDKs, reference servers and conformance suite for the tests
	@tests/sdk/install.sh >/dev/null

.PHONY: fmt
fmt: ## Format
	cargo fmt --all

.PHONY: check
check: tools ## Check format and lints
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: docs
docs: tools ## Build the API documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

.PHONY: generate
generate: tools ## Regenerate conf/schema.json and docs/CONFIGURATION.md from the configuration types
	cargo run --locked --quiet --bin conduit -- schema > conf/schema.json
	cargo run --locked --quiet --bin conduit -- schema --markdown > docs/CONFIGURATION.md

.PHONY: deny
deny: ## Check licences, bans and sources of all crates with cargo-deny
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny@$(CARGO_DENY_VERSION)
	cargo deny check bans licenses sources

.PHONY: bench
bench: tools ## Measure the gateway beside bare Pingora; ratios, CPU per request, instructions per stage
	@# What is missing is told, and its rows are left out.
	-@packaging/tools.sh bench
	cargo build --release --locked -p conduit -p conduit-bench
	"$(CARGO_TARGET_DIR)/release/conduit-bench" $(BENCH_ARGS)
ifndef BENCH_ARGS
	-@"$(CARGO_TARGET_DIR)/release/conduit-bench" instructions
endif

.PHONY: ci
ci: ## What CI runs: format, lints, all tests, documentation
	$(MAKE) check
	$(MAKE) test
	$(MAKE) docs
