#!/bin/sh
# Builds the tiny guest: build.sh <output>
set -eu
cd "$(dirname "$0")"
exec gcc -m32 -O1 -ffreestanding -fno-builtin -fno-pic -no-pie -mgeneral-regs-only -fcf-protection=none -fno-stack-protector \
    -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns -nostdlib -static -Wall -Wno-array-bounds \
    -Wl,-m,elf_i386 -Wl,-T,tiny.ld -Wl,--build-id=none -Wl,-z,noexecstack -o "$1" start.S tiny.c
