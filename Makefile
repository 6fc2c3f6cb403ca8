# Everything that a fresh machine with Rust needs to run, test and benchmark Skilift. `make help` lists it.
#
# Tests run from the dev profile, which is built incrementally; what is run and measured comes from the release profile, and passes
# infra/smoke-test first. Cargo.toml says what each profile optimises.

SHELL := bash
.DEFAULT_GOAL := run
.PHONY: help run test check bench install deb

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/skilift
# Outside the source tree, so that all clones share it.
CARGO_TARGET_DIR ?= $(cache)/target
export CARGO_TARGET_DIR
# Test binaries that another clone compiled look for their snapshots in this one.
export INSTA_WORKSPACE_ROOT := $(CURDIR)

release := $(CARGO_TARGET_DIR)/release
dev := $(CARGO_TARGET_DIR)/debug
# The whole workspace, whatever is tested: with one package alone Cargo chooses other features of its dependencies, and compiles them again.
nextest := $(cache)/venv/bin/cargo-nextest nextest run --locked --workspace
# `make test CRATE=console NAME=plan`: the tests of one crate, those with a word in their name, or both.
CRATE ?=
NAME ?=
chosen := $(and $(CRATE)$(NAME),-E 'package(skilift-$(or $(CRATE),*))$(if $(NAME), & test($(NAME)))')

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## (the default) build skictl and run everything on ./.data with simulated rides, until Ctrl-C
	@[ -x $(release)/skictl ] || echo "Compiling skictl with all its libraries. On two cores this takes about ten minutes, the first time only."
	@cargo build --release --locked --package skilift-cli --bin skictl
	@infra/smoke-test $(release)/skictl
	@# A job of its own: Ctrl-C reaches what runs and not make, which would report it as a failure.
	@set -m; $(release)/skictl up --data ./.data --simulate 50; exit $$?

# `step NAME COMMAND...` runs the command and keeps its wall time. At the end, whatever happened: all wall times, how many tests passed,
# and which ten took longest.
define steps
set -euo pipefail; \
times=; log=$(dev)/tests.log; mkdir -p $(dev); : >| "$$log"; \
step() { \
	local name=$$1 start=$$SECONDS code=0; shift; \
	echo "==> $$name"; \
	"$$@" || code=$$?; \
	times+=$$(printf "%5d s  %s" $$((SECONDS - start)) "$$name")$$'\n'; \
	return $$code; \
}; \
summary() { \
	printf "\nslowest tests:\n"; \
	sed -nE 's/^ +(PASS|FAIL|TIMEOUT|SLOW) \[ *>? *([0-9.]+)s\] +(\([^)]*\) )?(.*)/\2 s  \4/p' "$$log" | sort -rnu -k1,1 | head -n 10; \
	printf "\nwall times:\n%s" "$$times"; \
	awk '/^ +Summary / { print; for (n = 1; n < NF; n++) { if ($$(n + 1) ~ /^passed/) passed = $$n; if ($$(n + 1) ~ /^failed/) failed = $$n } } END { printf "tests: %d passed, %d failed\n", passed, failed }' "$$log"; \
}; \
trap summary EXIT
endef

test: ## build everything and run all tests, or CRATE=console NAME=plan; installs the servers and tools they need
	@$(steps); \
	run_tests() { $(dev)/with-servers -- $(nextest) --color never $(chosen) 2>&1 | tee "$$log"; }; \
	step "install tools" infra/install-test-tools; \
	step "build" $(nextest) --no-run; \
	step "tests" run_tests; \
	[[ -z "$(CRATE)$(NAME)" ]] || exit 0; \
	step "cloudformation" infra/aws/check; \
	step "container" infra/container/check $(dev)/skictl; \
	step "schemathesis" $(dev)/with-servers -- infra/schemathesis

check: ## format, clippy, documentation, and every test that needs no server
	@$(steps); \
	run_tests() { $(nextest) --profile check --color never 2>&1 | tee "$$log"; }; \
	step "install tools" infra/install-test-tools cargo-nextest; \
	step "format" cargo fmt --all --check; \
	step "clippy" cargo clippy --locked --workspace --all-targets --quiet -- -D warnings; \
	step "docs" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items --quiet; \
	step "build" $(nextest) --no-run; \
	step "tests" run_tests

# make install PREFIX=/usr/local DESTDIR=/tmp/package
PREFIX ?= /usr/local
install: ## build skictl and install it with man pages, completions and systemd units: PREFIX, DESTDIR
	@cargo build --release --locked --package skilift-cli --bin skictl
	@infra/smoke-test $(release)/skictl
	@infra/install $(release)/skictl $(PREFIX)

# make deb OUT=.
OUT ?= .
deb: ## build a Debian package of the same into OUT
	@cargo build --release --locked --package skilift-cli --bin skictl
	@infra/smoke-test $(release)/skictl
	@infra/deb $(release)/skictl $(OUT)

bench: ## measure: PART=requests measures one part, BASE=COMMIT an earlier version beside this one
	@infra/install-test-tools redis-server rabbitmq-server chromium wrk moto
	@cargo build --release --locked --workspace --bins
	@infra/smoke-test $(release)/skictl
	@exec bench/run $(PART) $(if $(BASE),--base $(BASE))
