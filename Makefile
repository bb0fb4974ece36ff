# computer-host. `make` or `make help` tells what there is.

CARGO ?= cargo
target_dir := $(or $(CARGO_TARGET_DIR),target)
# Where `computer image build` looks for the agent beside itself: ../lib/computer, from the directory of the program.
agent := $(target_dir)/lib/computer/computer-agent
# A static agent runs in every image, as its first process; it is small without its symbols.
agent_flags := -C target-feature=+crt-static -C strip=symbols

# Tests find the simulator there.
simulator := $(target_dir)/lib/simulator

# All in one build, here and for the tests: cargo unites the features of what is built together, and would build much twice otherwise.
with_harness = $(CARGO) build --locked --package cli --package hostd --package harness --bins

.DEFAULT_GOAL := help
.PHONY: help install-tools build agent simulator test test-firecracker test-simulator demo bench

## help: what can be made
help:
	@sed -n 's/^## /  make /p' $(MAKEFILE_LIST)

## install-tools: install the packages that building and running need (root)
install-tools:
	@scripts/install.sh --build

## build: computer, computerd and the agent
build: agent
	$(CARGO) build --locked --package cli --package hostd --bins

## agent: the static agent that goes into images
agent:
	$(CARGO) rustc --locked --package guest --bin computer-agent -- $(agent_flags)
	@install -D --mode 0755 $(target_dir)/debug/computer-agent $(agent)

## simulator: a Firecracker and a jailer without a hypervisor, static as the real ones are
simulator:
	$(CARGO) rustc --locked --package simulator --bin simulated-firecracker -- $(agent_flags)
	$(CARGO) rustc --locked --package simulator --bin simulated-jailer -- $(agent_flags)
	@install -D --mode 0755 $(target_dir)/debug/simulated-firecracker $(simulator)/firecracker
	@install -D --mode 0755 $(target_dir)/debug/simulated-jailer $(simulator)/jailer

## demo: a computer's whole life, on two hosts and an object store (root, under ten minutes)
demo:
	@scripts/as-root.sh demo
	@scripts/install.sh --build
	@$(MAKE) --no-print-directory agent
	@$(with_harness)
	@$(target_dir)/debug/demo

## test: everything, in real machines where this one can run them
test:
	@scripts/install.sh --build
	@$(MAKE) --no-print-directory agent simulator
	@$(CARGO) build --locked --workspace --bins --tests
	@CARGO="$(CARGO)" scripts/test.sh

## test-firecracker: only what runs real Firecrackers; fails where COMPUTER_FIRECRACKER and COMPUTER_JAILER (or PATH) name none (root)
test-firecracker:
	@scripts/as-root.sh test-firecracker
	@$(MAKE) --no-print-directory build
	@COMPUTER_FIRECRACKER_REQUIRED=yes $(CARGO) test --locked --workspace --test firecracker --test firecracker_hosts -- --test-threads 2

## test-simulator: the suite of the adapter against the simulator, wherever real binaries may be (root)
test-simulator: simulator
	@scripts/as-root.sh test-simulator
	@COMPUTER_FIRECRACKER_REQUIRED=yes COMPUTER_FIRECRACKER=$(abspath $(simulator))/firecracker COMPUTER_JAILER=$(abspath $(simulator))/jailer \
		COMPUTER_FIRECRACKER_VERSIONS= COMPUTER_FIRECRACKER_KVM=/dev/null $(CARGO) test --locked --workspace --test firecracker --test firecracker_hosts -- --test-threads 2

## bench: the figures of the README into target/bench; ONLY=name,... for some of them
bench:
	@scripts/as-root.sh bench
	@scripts/install.sh --build
	@$(MAKE) --no-print-directory agent
	@$(with_harness)
	@$(target_dir)/debug/bench $(if $(ONLY),--only $(ONLY))
