#!/bin/sh
# Puts the generators and fuzzers of other languages beside the build, for the tests that drive the API with them.
# Nothing is installed on the machine. What cannot be had here is left out, and the tests that want it say so.
#
#   scripts/client-tools.sh TARGET_DIR
set -eu

dir=${1:?usage: scripts/client-tools.sh TARGET_DIR}/client-tools
here=$(dirname "$0")
log=$(mktemp)
trap 'rm -f "$log"' EXIT

say() { echo "client-tools: $*" >&2; }

python_tools() {
	command -v python3 >/dev/null || { say "no python3"; return; }
	wanted=$here/client-tools/requirements.txt
	cmp -s "$wanted" "$dir/python/installed" && return
	rm -rf "$dir/python"
	if python3 -m venv "$dir/python" >"$log" 2>&1 &&
		timeout 300 "$dir/python/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted" >"$log" 2>&1; then
		cp "$wanted" "$dir/python/installed"
	else
		rm -rf "$dir/python"
		say "no tools of Python: $(tail -n 1 "$log")"
	fi
}

node_tools() {
	command -v npm >/dev/null || { say "no npm"; return; }
	wanted=$here/client-tools/package.json
	cmp -s "$wanted" "$dir/node/installed" && return
	rm -rf "$dir/node"
	mkdir -p "$dir/node"
	cp "$wanted" "$dir/node/package.json"
	if timeout 300 npm install --silent --no-audit --no-fund --prefix "$dir/node" >"$log" 2>&1; then
		cp "$wanted" "$dir/node/installed"
	else
		rm -rf "$dir/node"
		say "no tools of Node: $(tail -n 1 "$log")"
	fi
}

mkdir -p "$dir"
python_tools
node_tools
