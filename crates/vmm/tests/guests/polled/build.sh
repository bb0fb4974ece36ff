#!/bin/sh
# Builds the polled guest: build.sh <output>
set -eu
cd "$(dirname "$0")"
exec gcc -O1 -ffreestanding -fno-builtin -fno-tree-loop-distribute-patterns -fno-pic -no-pie -mno-red-zone -mgeneral-regs-only \
    -fcf-protection=none -fno-stack-protector -fno-asynchronous-unwind-tables -nostdlib -static -Wall -Wextra -Wno-array-bounds \
    -Wno-address-of-packed-member -Wl,-T,guest.ld -Wl,--build-id=none -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -o "$1" start.S main.c memory.c serial.c \
    virtio.c block.c network.c vsock.c
