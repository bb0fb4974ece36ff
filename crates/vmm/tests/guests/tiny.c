/* The guest of this crate's tests: polls, counts, and leaves a trace of every count in memory, on disk and on the console.
 *
 *   TICK n=<counter> disk=<the counter as sector 1 held it before this tick>
 *
 * The counter lies at physical address 2 MiB, where the test reads it in the memory file. Memory and disk of one instant agree that
 * disk = n - 1; where they do not, the guest writes TORN and stops. At the power button it writes POWER and powers off.
 * The devices are microvm's: virtio-mmio (legacy) from 0xfeb00000, ACPI's generic event device at 0xfea00000. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define COUNTER ((volatile u32 *)0x200000)
#define QUEUE ((u8 *)0x300000) /* legacy layout: descriptors, available ring, then used ring on its own page */
#define QUEUE_SIZE 8
#define EVENTS 0xfea00000u
#define SLEEP_CONTROL 0xfea00200u
#define TRANSPORTS 0xfeb00000u
#define BLOCK_DEVICE 2
#define RESET 0xdeadu /* in sector 1: reset at once */
#define BARRIER __asm__ volatile("" ::: "memory")

struct descriptor { u32 address, address_high, length; u16 flags, next; };
struct available { u16 flags, index, ring[QUEUE_SIZE]; };
struct used { u16 flags, index; struct { u32 id, length; } ring[QUEUE_SIZE]; };

static u32 block;
static u8 sector[512] __attribute__((aligned(16)));
static struct { u32 type, reserved, sector, sector_high; } request;
static volatile u8 status;

static void out(u16 port, u8 value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static u32 get(u32 at) { return *(volatile u32 *)at; }
static void set(u32 at, u32 value) { *(volatile u32 *)at = value; }

static void text(const char *s) { while (*s) out(0x3f8, (u8)*s++); }
static void number(u32 n) {
    char digits[12];
    int count = 0;
    do { digits[count++] = (char)('0' + n % 10); n /= 10; } while (n);
    while (count) out(0x3f8, (u8)digits[--count]);
}

static void find_disk(void) {
    for (u32 base = TRANSPORTS; base < TRANSPORTS + 24 * 0x200; base += 0x200)
        if (get(base) == 0x74726976 && get(base + 8) == BLOCK_DEVICE && !block) block = base;
    if (!block) return;
    set(block + 0x70, 0);                        /* reset, acknowledge, driver */
    set(block + 0x70, 1);
    set(block + 0x70, 3);
    set(block + 0x20, 0);                        /* no features */
    set(block + 0x28, 4096);                     /* guest page size */
    set(block + 0x30, 0);
    set(block + 0x38, QUEUE_SIZE);
    set(block + 0x3c, 4096);
    set(block + 0x40, (u32)QUEUE >> 12);
    set(block + 0x70, 7);
}

static void transfer(u32 type) {
    volatile struct descriptor *d = (struct descriptor *)QUEUE;
    volatile struct available *available = (struct available *)(QUEUE + QUEUE_SIZE * 16);
    volatile struct used *used = (struct used *)(QUEUE + 4096);
    u16 before = used->index;
    request.type = type;
    request.sector = 1;
    status = 0xff;
    d[0].address = (u32)&request; d[0].length = 16; d[0].flags = 1; d[0].next = 1;
    d[1].address = (u32)sector; d[1].length = 512; d[1].flags = (u16)(1 | (type ? 0 : 2)); d[1].next = 2;
    d[2].address = (u32)&status; d[2].length = 1; d[2].flags = 2;
    available->ring[available->index % QUEUE_SIZE] = 0;
    BARRIER;
    available->index++;
    BARRIER;
    set(block + 0x50, 0);
    while (used->index == before) BARRIER;
    if (get(block + 0x60)) set(block + 0x64, get(block + 0x60));
    if (status) text("DISK ERROR\n");
}

/* A triple fault, as a panicking kernel ends. */
static void reset(void) {
    static const struct { u16 limit; u32 base; } __attribute__((packed)) none;
    text("RESET\n");
    __asm__ volatile("lidt %0; int3" ::"m"(none));
}

void guest_main(void) {
    text("TINY\n");
    find_disk();
    if (block) {
        transfer(0);
        if (*(u32 *)sector == RESET) reset();
    }
    for (;;) {
        u32 n = *COUNTER + 1;
        u32 held = n - 1;
        if (block) {
            transfer(0);
            held = *(volatile u32 *)sector;
        }
        if (held != n - 1) {
            text("TORN n="); number(n); text(" disk="); number(held); text("\n");
            for (;;) BARRIER;
        }
        *COUNTER = n;
        if (block) {
            *(volatile u32 *)sector = n;
            transfer(1);
        }
        text("TICK n="); number(n); text(" disk="); number(held); text("\n");
        if (get(EVENTS) & 2) {
            text("POWER\n");
            *(volatile u8 *)SLEEP_CONTROL = 0x20 | 5 << 2;
        }
        for (volatile u32 i = 0; i < 200000; i++) BARRIER;
    }
}
