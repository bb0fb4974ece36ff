/* The counter on the first disk, in its second sector. */
#include "guest.h"

#define BLOCK_DEVICE 2
#define SECTOR 1
#define CHAINED 1
#define DEVICE_WRITES 2

struct header { u32 type, reserved; u64 sector; };

static struct queue requests;
static struct header *header;
static u64 *sector;
static volatile u8 *status;

int open_disk(void) {
    u64 device = find_device(BLOCK_DEVICE);
    if (!device) return 0;
    begin_device(device, 0);
    make_queue(&requests, device, 0, 64, 0);
    header = allocate(sizeof *header);
    sector = allocate(512);
    status = allocate(1);
    end_device(device);
    return 1;
}

static void describe(int at, u64 address, u32 length, u16 flags) {
    requests.descriptors[at].address = address;
    requests.descriptors[at].length = length;
    requests.descriptors[at].flags = flags;
    requests.descriptors[at].next = at + 1;
}

static int transfer(int is_write) {
    header->type = is_write;
    header->sector = SECTOR;
    *status = 0xff;
    describe(0, (u64)header, sizeof *header, CHAINED);
    describe(1, (u64)sector, 512, CHAINED | (is_write ? 0 : DEVICE_WRITES));
    describe(2, (u64)status, 1, DEVICE_WRITES);
    requests.available->ring[requests.available->index % QUEUE_SIZE] = 0;
    BARRIER();
    requests.available->index++;
    notify(&requests);
    return wait_used(&requests) && *status == 0;
}

int write_counter(u64 counter) {
    sector[0] = counter;
    return transfer(1);
}

u64 read_counter(void) {
    sector[0] = ~0UL;
    return transfer(0) ? sector[0] : ~0UL;
}
