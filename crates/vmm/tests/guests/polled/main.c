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
/* Where `touch=<MiB>` writes. */
#define TOUCHED 0x4000000UL
/* Where the boot parameters hold the address of the command line. */
#define COMMAND_LINE 0x228

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

/* The number behind a word of the kernel's command line, 1 for a word alone, 0 without it. */
static u64 told(const char *line, const char *word) {
    for (; *line; line++) {
        const char *at = line, *wanted = word;
        while (*wanted && *at == *wanted) at++, wanted++;
        if (*wanted) continue;
        if (*at != '=') return 1;
        u64 number = 0;
        for (at++; *at >= '0' && *at <= '9'; at++) number = number * 10 + *at - '0';
        return number;
    }
    return 0;
}

static void touch(u64 mebibytes) {
    for (u64 page = 0; page < mebibytes * 256; page++) *(volatile u64 *)(TOUCHED + page * 4096) = page + 1;
}

/* Nothing wakes it: no interrupt is ever asked for. */
static void idle(void) {
    print("IDLE\n");
    for (;;) __asm__ volatile("hlt");
}

void run(u64 unused, u64 boot_parameters) {
    u64 on_disk = 0;
    (void)unused;
    const char *line = (const char *)(u64) * (volatile u32 *)(boot_parameters + COMMAND_LINE);
    COUNTER = 0;
    print("BOOT\n");
    map_four_gigabytes();
    touch(told(line, "touch"));
    if (told(line, "idle")) idle();
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
