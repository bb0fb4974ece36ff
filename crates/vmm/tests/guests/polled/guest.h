/* A guest that polls: no interrupts, no floating point, nothing that a KVM without hardware virtualisation cannot emulate.
 *
 * On the serial port it prints
 *   BOOT                             once, but not after a restore
 *   TICK n=<counter> disk=<counter>  the disk's as read back; both belong to one instant
 *   TORN ...                         when they do not
 *   RESET                            when Ctrl-Alt-Del has asked it to end
 *   IDLE                             when its command line says `idle`: then it halts, and does nothing else
 * With `touch=<MiB>` it writes that much memory first. It answers ARP and ping, sends "n=<counter>" over every TCP connection, and answers each line over vsock with "OK" (on port 9 with
 * the counter). */
#ifndef GUEST_H
#define GUEST_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#define BARRIER() __asm__ volatile("" ::: "memory")

/* How far the guest has counted, in RAM. Tests look for it there. */
#define COUNTER (*(volatile u64 *)0x200000)

static inline void out_byte(u16 port, u8 value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static inline u8 in_byte(u16 port) {
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* memory.c */
void map_four_gigabytes(void);
void *allocate(u64 bytes);
void *memcpy(void *to, const void *from, u64 bytes);
void *memset(void *to, int value, u64 bytes);

/* serial.c */
void print(const char *text);
void print_number(u64 number);
int format_number(char *to, u64 number);

/* virtio.c */
#define QUEUE_SIZE 16
struct descriptor { u64 address; u32 length; u16 flags, next; };
struct available { u16 flags, index, ring[QUEUE_SIZE]; };
struct used_element { u32 id, length; };
struct used { u16 flags, index; struct used_element ring[QUEUE_SIZE]; };
struct queue {
    u64 device;
    u32 number;
    volatile struct descriptor *descriptors;
    volatile struct available *available;
    volatile struct used *used;
    u16 seen;
    u8 *buffers;
    u32 buffer_bytes;
};
u64 find_device(u32 id);
void begin_device(u64 device, u32 features);
void end_device(u64 device);
u8 read_config(u64 device, u32 at);
void make_queue(struct queue *queue, u64 device, u32 number, u32 buffer_bytes, int is_filled);
void notify(struct queue *queue);
int wait_used(struct queue *queue);
void send(struct queue *queue, const void *bytes, u32 length);
u8 *receive(struct queue *queue, u32 *length, u32 *id);
void give_back(struct queue *queue, u32 id);

/* block.c */
int open_disk(void);
int write_counter(u64 counter);
u64 read_counter(void);

/* network.c */
void open_network(void);
void poll_network(void);

/* vsock.c */
void open_vsock(void);
void poll_vsock(void);

#endif
