/* virtio over memory-mapped registers, version 2. */
#include "guest.h"

#define FIRST_DEVICE 0xc0001000UL
#define LAST_DEVICE 0xc0010000UL
#define MAGIC 0x74726976
#define DEVICE_WRITES 2
#define TRIES 400000

/* Registers. */
enum {
    MAGIC_VALUE = 0x00, DEVICE_ID = 0x08, DRIVER_FEATURES = 0x20, DRIVER_FEATURES_SELECT = 0x24, QUEUE_SELECT = 0x30, QUEUE_NUMBER = 0x38,
    QUEUE_READY = 0x44, QUEUE_NOTIFY = 0x50, STATUS = 0x70, QUEUE_DESCRIPTORS = 0x80, QUEUE_DRIVER = 0x90, QUEUE_DEVICE = 0xa0, CONFIG = 0x100
};

static u32 read(u64 device, u32 at) { return *(volatile u32 *)(device + at); }
static void write(u64 device, u32 at, u32 value) { *(volatile u32 *)(device + at) = value; }

u64 find_device(u32 id) {
    for (u64 device = FIRST_DEVICE; device < LAST_DEVICE; device += 0x1000)
        if (read(device, MAGIC_VALUE) == MAGIC && read(device, DEVICE_ID) == id) return device;
    return 0;
}

/* Reset, acknowledged, driven; features of the lower half, and version 1 in the upper. */
void begin_device(u64 device, u32 features) {
    write(device, STATUS, 0);
    write(device, STATUS, 1);
    write(device, STATUS, 3);
    write(device, DRIVER_FEATURES_SELECT, 0);
    write(device, DRIVER_FEATURES, features);
    write(device, DRIVER_FEATURES_SELECT, 1);
    write(device, DRIVER_FEATURES, 1);
    write(device, STATUS, 11);
}

void end_device(u64 device) { write(device, STATUS, 15); }

u8 read_config(u64 device, u32 at) { return *(volatile u8 *)(device + CONFIG + at); }

static void write_address(u64 device, u32 at, volatile void *address) {
    write(device, at, (u32)(u64)address);
    write(device, at + 4, 0);
}

void make_queue(struct queue *queue, u64 device, u32 number, u32 buffer_bytes, int is_filled) {
    queue->device = device;
    queue->number = number;
    queue->descriptors = allocate(4096);
    queue->available = allocate(4096);
    queue->used = allocate(4096);
    queue->seen = 0;
    queue->buffer_bytes = buffer_bytes;
    queue->buffers = allocate((u64)buffer_bytes * QUEUE_SIZE);
    write(device, QUEUE_SELECT, number);
    write(device, QUEUE_NUMBER, QUEUE_SIZE);
    write_address(device, QUEUE_DESCRIPTORS, queue->descriptors);
    write_address(device, QUEUE_DRIVER, queue->available);
    write_address(device, QUEUE_DEVICE, queue->used);
    for (u32 id = 0; is_filled && id < QUEUE_SIZE; id++) {
        queue->descriptors[id].address = (u64)queue->buffers + (u64)id * buffer_bytes;
        queue->descriptors[id].length = buffer_bytes;
        queue->descriptors[id].flags = DEVICE_WRITES;
        queue->available->ring[id] = id;
    }
    BARRIER();
    if (is_filled) queue->available->index = QUEUE_SIZE;
    write(device, QUEUE_READY, 1);
}

void notify(struct queue *queue) {
    BARRIER();
    write(queue->device, QUEUE_NOTIFY, queue->number);
}

/* Waits until the device has used one more chain; 0 when it does not. */
int wait_used(struct queue *queue) {
    for (u32 tries = 0; tries < TRIES && queue->used->index == queue->seen; tries++) BARRIER();
    if (queue->used->index == queue->seen) return 0;
    queue->seen++;
    return 1;
}

void send(struct queue *queue, const void *bytes, u32 length) {
    memcpy(queue->buffers, bytes, length);
    queue->descriptors[0].address = (u64)queue->buffers;
    queue->descriptors[0].length = length;
    queue->descriptors[0].flags = 0;
    queue->available->ring[queue->available->index % QUEUE_SIZE] = 0;
    BARRIER();
    queue->available->index++;
    notify(queue);
    wait_used(queue);
}

/* What the device has written next, or 0. */
u8 *receive(struct queue *queue, u32 *length, u32 *id) {
    if (!queue->device || queue->used->index == queue->seen) return 0;
    volatile struct used_element *element = &queue->used->ring[queue->seen % QUEUE_SIZE];
    queue->seen++;
    *length = element->length;
    *id = element->id;
    return queue->buffers + (u64)element->id * queue->buffer_bytes;
}

void give_back(struct queue *queue, u32 id) {
    queue->available->ring[queue->available->index % QUEUE_SIZE] = id;
    BARRIER();
    queue->available->index++;
    notify(queue);
}
