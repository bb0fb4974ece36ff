/* Stream connections from the host, to any port, answered line by line. */
#include "guest.h"

#define VSOCK_DEVICE 19
#define COUNTER_PORT 9
#define WINDOW 65536
enum { REQUEST = 1, RESPONSE = 2, RESET = 3, SHUTDOWN = 4, DATA = 5, CREDIT_UPDATE = 6, CREDIT_REQUEST = 7 };

struct header {
    u64 from_address, to_address;
    u32 from_port, to_port, length;
    u16 type, operation;
    u32 flags, window, received;
} __attribute__((packed));

static struct queue incoming, outgoing, events;
static u64 own_address;
static u32 received;
static u8 out[sizeof(struct header) + 64];

void open_vsock(void) {
    u64 device = find_device(VSOCK_DEVICE);
    if (!device) return;
    begin_device(device, 0);
    own_address = read_config(device, 0);
    make_queue(&incoming, device, 0, 8192, 1);
    make_queue(&outgoing, device, 1, 8192, 0);
    make_queue(&events, device, 2, 16, 1);
    end_device(device);
    notify(&incoming);
    notify(&events);
}

static void answer(const struct header *in, u16 operation, const char *text, u32 length) {
    struct header *header = (struct header *)out;
    *header = (struct header){own_address, in->from_address, in->to_port, in->from_port, length, 1, operation, 0, WINDOW, received};
    memcpy(out + sizeof *header, text, length);
    send(&outgoing, out, sizeof *header + length);
}

static void on_data(const struct header *in) {
    const u8 *data = (const u8 *)(in + 1);
    char text[32] = "OK\n";
    u32 length = 3;
    received += in->length;
    if (!in->length || data[in->length - 1] != '\n') {
        answer(in, CREDIT_UPDATE, 0, 0);
        return;
    }
    if (in->to_port == COUNTER_PORT) {
        length = format_number(text, COUNTER);
        text[length++] = '\n';
    }
    answer(in, DATA, text, length);
}

static void on_packet(const struct header *in) {
    switch (in->operation) {
    case REQUEST:
        received = 0;
        answer(in, RESPONSE, 0, 0);
        break;
    case DATA:
        on_data(in);
        break;
    case SHUTDOWN:
        answer(in, RESET, 0, 0);
        break;
    case CREDIT_REQUEST:
        answer(in, CREDIT_UPDATE, 0, 0);
        break;
    }
}

void poll_vsock(void) {
    u32 length, id;
    u8 *in = receive(&incoming, &length, &id);
    if (in) on_packet((struct header *)in), give_back(&incoming, id);
    /* The one event there is: a restore has cut every connection. */
    if (receive(&events, &length, &id)) print("VSOCK RESET\n"), give_back(&events, id);
}
