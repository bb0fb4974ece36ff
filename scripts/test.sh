#!/bin/sh
# Runs every test of the workspace, and says at the end what was skipped and why.
#
# Tests that need what this machine lacks print a line beginning with "skipped:" and pass.
set -eu

cargo=${CARGO:-cargo}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"$(dirname "$0")/client-tools.sh" "${CARGO_TARGET_DIR:-target}"

# Real machines run two at a time: `.config/nextest.toml`. Without nextest, tests of one program run two at a time.
# Firecracker's suites run twice: against real binaries, where the machine has them, and against the simulator, which needs no KVM.
target=${CARGO_TARGET_DIR:-target}
simulator=$(cd "$target/lib/simulator" && pwd)
simulated() {
	COMPUTER_FIRECRACKER=$simulator/firecracker COMPUTER_JAILER=$simulator/jailer COMPUTER_FIRECRACKER_KVM=/dev/null \
		COMPUTER_FIRECRACKER_VERSIONS='' "$@"
}

status=0
if $cargo nextest --version >/dev/null 2>&1; then
	{ $cargo nextest run --locked --workspace --no-fail-fast --success-output final 2>&1 || echo $? >"$log.status"; } | tee "$log"
	{ simulated $cargo nextest run --locked --workspace --no-fail-fast --success-output final -E 'binary(firecracker) + binary(firecracker_hosts)' 2>&1 || echo $? >"$log.status"; } | tee -a "$log"
	{ $cargo test --locked --workspace --doc 2>&1 || echo $? >"$log.status"; } | tee -a "$log"
else
	{ $cargo test --locked --workspace --no-fail-fast -- --nocapture --test-threads 2 2>&1 || echo $? >"$log.status"; } | tee "$log"
	{ simulated $cargo test --locked --workspace --no-fail-fast --test firecracker --test firecracker_hosts -- --nocapture --test-threads 2 2>&1 || echo $? >"$log.status"; } | tee -a "$log"
fi
if [ -f "$log.status" ]; then
	status=$(cat "$log.status")
	rm -f "$log.status"
fi

skipped=$(sed -n 's/^[[:space:]]*\(skipped: .*\)$/\1/p' "$log" | sort | uniq -c | sort -rn)
if [ -n "$skipped" ]; then
	echo "Skipped on this machine:"
	echo "$skipped"
else
	echo "Nothing was skipped."
fi
exit "$status"
