# The words a developer types. Longer logic is in tests/scripts/.
.DEFAULT_GOAL := help
.PHONY: help demo test lint deny bless bench chaos fuzz package semver

help: ## Lists these words
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Starts everything on this machine with a simulated provider; prints where to look
	@tests/scripts/ensure-tools.sh cc certs
	cargo run --package kie-web -- demo

test: ## Runs every test; brings its own PostgreSQL unless TEST_DATABASE_URL is set
	@tests/scripts/ensure-tools.sh cc certs postgres
	@tests/scripts/ensure-tools.sh faketime || echo "test: without libfaketime the clocks of the storm are all true" >&2
	cargo build --workspace --bins
	tests/scripts/with-postgres.sh cargo test --workspace --no-fail-fast

lint: ## Checks format, clippy and documentation; warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps

deny: ## Checks licences, sources and bans of all dependencies
	tests/scripts/slim-client.sh
	tests/scripts/no-failpoints.sh
	tests/scripts/deny.sh

bless: ## Renews the packed catalogue, printed documents and checked-query data
	tests/scripts/bless.sh

bench: ## Measures orders, memory, latency, rest, long histories, simulator and catalogue against their bars (13 quiet minutes)
	tests/bench/run.sh all
	cargo bench --package kie-catalogue

chaos: ## Kills and cuts everything of a shop under load (CHAOS_JOBS, CHAOS_KILLS, CHAOS_SECONDS, CHAOS_SEED)
	@tests/scripts/ensure-tools.sh cc certs postgres faketime
	cargo build --release --package kie-web --package kie-reconciler --package kie-sim --package acceptance --bins
	"$${CARGO_TARGET_DIR:-target}/release/chaos"

fuzz: ## Runs every fuzzer for FUZZ_SECONDS (default 300); takes a nightly compiler, if there is one
	tests/scripts/fuzz.sh

package: ## Packs the published crates, and uses kie-client from an empty crate elsewhere
	@tests/scripts/ensure-tools.sh cc certs
	cargo package --allow-dirty --package kie-catalogue --package kie-client
	tests/scripts/outside-crate.sh

semver: ## Compares the published crates' interfaces with the last release tag
	tests/scripts/semver.sh
