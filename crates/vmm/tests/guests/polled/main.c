/* The loop: count, poll, and end when asked to. */
#include "guest.h"

#define KEYBOARD_DATA 0x60
#define KEYBOARD_STATUS 0x64
#define HAS_BYTE 1
#define RESET_CPU 0xfe
/* The last byte of Ctrl-Alt-Del. */
#define DELETE_KEY 0x71
/* Rounds of polling between two ticks. */
#define ROUNDS 400
/* The disk is written at every fourth tick. */
#define DISK_EVERY 4
/* One page in this ring of pages is written at each tick, so that snapshots have something to find. */
#define DIRTY_RING 0x400000UL
#define DIRTY_PAGES 256

static void end_if_asked(void) {
    if (!(in_byte(KEYBOARD_STATUS) & HAS_BYTE)) return;
    if (in_byte(KEYBOARD_DATA) != DELETE_KEY) return;
    print("RESET\n");
    out_byte(KEYBOARD_STATUS, RESET_CPU);
}

static void check_disk(u64 counter, u64 *on_disk) {
    if (read_counter() != *on_disk) {
        print("TORN disk=");
        print_number(read_counter());
        print(" memory=");
        print_number(*on_disk);
        print("\n");
    }
    if (counter % DISK_EVERY == 0 && write_counter(counter)) *on_disk = counter;
}

static void tick(int has_disk, u64 *on_disk) {
    u64 counter = ++COUNTER;
    volatile u64 *page = (volatile u64 *)(DIRTY_RING + counter % DIRTY_PAGES * 4096);
    volatile u64 *last = (volatile u64 *)(DIRTY_RING + (counter - 1) % DIRTY_PAGES * 4096);
    if (*last != counter - 1) print("TORN memory\n");
    *page = counter;
    if (has_disk) check_disk(counter, on_disk);
    print("TICK n=");
    print_number(counter);
    print(" disk=");
    print_number(*on_disk);
    print("\n");
}

void run(void) {
    u64 on_disk = 0;
    COUNTER = 0;
    print("BOOT\n");
    map_four_gigabytes();
    int has_disk = open_disk();
    if (has_disk) write_counter(0);
    open_network();
    open_vsock();
    for (u32 round = 0;; round++) {
        poll_network();
        poll_vsock();
        if (round % ROUNDS) continue;
        end_if_asked();
        tick(has_disk, &on_disk);
    }
}
