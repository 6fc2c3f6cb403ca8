# Everything that a fresh machine with Rust needs to run, test and benchmark Skilift. `make help` lists it.
#
# One profile (release) is shared by run, test and bench on purpose: everything is compiled once, and what is tested is what runs.

SHELL := bash
.DEFAULT_GOAL := run
.PHONY: help run test bench

# Outside the source tree, so that all clones share it.
CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/skilift/target
export CARGO_TARGET_DIR

bin := $(CARGO_TARGET_DIR)/release
build := cargo build --release --locked --workspace --bins
tests := cargo test --release --locked --workspace --no-fail-fast

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## (the default) build skictl and run everything on ./.data with simulated rides, until Ctrl-C
	@[ -x $(bin)/skictl ] || echo "Compiling skictl with all its libraries. On two cores this takes four to five minutes, the first time only."
	@cargo build --release --locked --package skilift-cli --bin skictl
	@# A job of its own: Ctrl-C reaches what runs and not make, which would report it as a failure.
	@set -m; $(bin)/skictl up --data ./.data --simulate 50; exit $$?

# `step NAME COMMAND...` runs the command and keeps its wall time. All of them are printed at the end, whatever happens, and how
# many tests were run.
define steps
set -euo pipefail; \
times=; log=$(bin)/tests.log; : >| "$$log"; \
step() { \
	local name=$$1 start=$$SECONDS code=0; shift; \
	echo "==> $$name"; \
	"$$@" || code=$$?; \
	times+=$$(printf "%5d s  %s" $$((SECONDS - start)) "$$name")$$'\n'; \
	return $$code; \
}; \
summary() { \
	printf "\nwall time of make test:\n%s\n" "$$times"; \
	awk '/^test result:/ { passed += $$4; failed += $$6 } END { printf "tests: %d passed, %d failed\n", passed, failed }' "$$log"; \
}; \
trap summary EXIT
endef

test: ## build everything and run all tests; installs the servers and tools they need
	@mkdir -p $(bin); $(steps); \
	run_tests() { $(bin)/with-servers -- $(tests) | tee "$$log"; }; \
	step "install tools" infra/install-test-tools; \
	step "build" $(build); \
	step "build tests" $(tests) --no-run; \
	step "tests" run_tests; \
	step "schemathesis" $(bin)/with-servers -- infra/schemathesis

bench: ## measure: see bench/
	@infra/install-test-tools redis-server rabbitmq-server wrk
	@$(build)
	@exec bench/run
