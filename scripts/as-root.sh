#!/bin/sh
# Says clearly that something needs root, before anything is installed or built.
#
#   scripts/as-root.sh demo
set -eu

[ "$(id -u)" -eq 0 ] && exit 0
echo "make $1 makes namespaces, mounts and virtual machines: run it as root, for example: sudo make $1" >&2
exit 1
