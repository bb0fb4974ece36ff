#!/bin/sh
# Installs what computer-host needs on a Debian machine, from the package sources that the machine has. Quiet when all is there.
# The sources are never changed, and the package lists are fetched only when something is missing.
#
#   scripts/install.sh            what the daemon, images and the command line need
#   scripts/install.sh --build    and what building this repository needs
set -eu

# What it is for: VMM; network of machines; image building; storage; demo and tests.
packages="
qemu-system-x86
nftables iproute2
mmdebstrap e2fsprogs kmod xz-utils util-linux
xfsprogs
busybox-static ca-certificates cpio curl jq openssh-client zstd
"
build_packages="build-essential git pkg-config"

say() { echo "install: $*" >&2; }

case "${1-}" in
"") ;;
--build) packages="$packages $build_packages" ;;
*)
	say "usage: scripts/install.sh [--build]"
	exit 2
	;;
esac

missing=
for package in $packages; do
	state=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	say "these packages are missing:$missing"
	say "run this as root, for example: sudo scripts/install.sh"
	exit 1
fi
if ! command -v apt-get >/dev/null; then
	say "this is no Debian: install the equivalents of$missing"
	exit 1
fi

say "installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# shellcheck disable=SC2086 # the list is split on purpose
install() { apt-get install --yes --quiet --quiet --no-install-recommends $missing >"$log" 2>&1; }

if ! install; then
	say "fetching the package lists first"
	if ! { apt-get update --quiet --quiet >"$log" 2>&1 && install; }; then
		cat "$log" >&2
		say "apt-get could not install$missing"
		exit 1
	fi
fi
say "done"
