/* ARP, ping, and TCP connections of one answer, at the address that the last four bytes of the MAC are. */
#include "guest.h"

#define NETWORK_DEVICE 1
#define FEATURE_MAC (1 << 5)
#define VIRTIO_HEADER 12
#define ETHERNET 14
#define IP 20
#define TCP 20
enum { FIN = 1, SYN = 2, RST = 4, PUSH = 8, ACK = 16 };

static struct queue incoming, outgoing;
static u8 mac[6], *address = mac + 2;
static u8 out[1600], *frame = out + VIRTIO_HEADER;

static u32 get16(const u8 *from) { return from[0] << 8 | from[1]; }
static u32 get32(const u8 *from) { return get16(from) << 16 | get16(from + 2); }
static void put16(u8 *to, u32 value) { to[0] = value >> 8, to[1] = value; }
static void put32(u8 *to, u32 value) { put16(to, value >> 16), put16(to + 2, value); }

static int is_ours(const u8 *other) { return get32(other) == get32(address); }

static u32 sum(const u8 *bytes, u32 length, u32 so_far) {
    for (u32 at = 0; at + 1 < length; at += 2) so_far += get16(bytes + at);
    return length & 1 ? so_far + (bytes[length - 1] << 8) : so_far;
}

static u16 checksum(u32 sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return ~sum;
}

void open_network(void) {
    u64 device = find_device(NETWORK_DEVICE);
    if (!device) return;
    begin_device(device, FEATURE_MAC);
    for (int at = 0; at < 6; at++) mac[at] = read_config(device, at);
    make_queue(&incoming, device, 0, 16384, 1);
    make_queue(&outgoing, device, 1, 2048, 0);
    end_device(device);
    notify(&incoming);
}

static void answer(const u8 *to, u32 type, u32 length) {
    memcpy(frame, to + 6, 6);
    memcpy(frame + 6, mac, 6);
    put16(frame + 12, type);
    if (length < 60) memset(frame + length, 0, 60 - length), length = 60;
    memset(out, 0, VIRTIO_HEADER);
    send(&outgoing, out, VIRTIO_HEADER + length);
}

static void answer_ip(const u8 *to, u32 protocol, u32 payload) {
    u8 *ip = frame + ETHERNET;
    memset(ip, 0, IP);
    ip[0] = 0x45, ip[8] = 64, ip[9] = protocol;
    put16(ip + 2, IP + payload);
    memcpy(ip + 12, address, 4);
    memcpy(ip + 16, to + ETHERNET + 12, 4);
    put16(ip + 10, checksum(sum(ip, IP, 0)));
    answer(to, 0x800, ETHERNET + IP + payload);
}

static void on_arp(const u8 *in) {
    const u8 *asked = in + ETHERNET;
    u8 *arp = frame + ETHERNET;
    if (get16(asked + 6) != 1 || !is_ours(asked + 24)) return;
    memcpy(arp, asked, 8);
    put16(arp + 6, 2);
    memcpy(arp + 8, mac, 6);
    memcpy(arp + 14, address, 4);
    memcpy(arp + 18, asked + 8, 10);
    answer(in, 0x806, ETHERNET + 28);
}

static void on_ping(const u8 *in, const u8 *message, u32 length) {
    u8 *echo = frame + ETHERNET + IP;
    if (length > 1400 || message[0] != 8) return;
    memcpy(echo, message, length);
    echo[0] = 0;
    put16(echo + 2, 0);
    put16(echo + 2, checksum(sum(echo, length, 0)));
    answer_ip(in, 1, length);
}

/* A connection is accepted, told the counter as soon as it says something, and closed. */
static void on_tcp(const u8 *in, const u8 *segment, u32 length) {
    u32 flags = segment[13], data = length - (segment[12] >> 4) * 4, said = 0;
    u32 sequence = get32(segment + 8), acknowledged = get32(segment + 4) + data, ours = ACK;
    u8 *tcp = frame + ETHERNET + IP;
    memset(tcp, 0, TCP);
    if (flags & RST) return;
    if (flags & SYN) {
        ours |= SYN, sequence = 1000, acknowledged++;
    } else if (data) {
        char *text = (char *)tcp + TCP;
        ours |= PUSH | FIN;
        text[0] = 'n', text[1] = '=';
        said = 2 + format_number(text + 2, COUNTER);
        text[said++] = '\n';
        if (flags & FIN) acknowledged++;
    } else if (flags & FIN) {
        ours |= FIN, acknowledged++;
    } else {
        return;
    }
    put16(tcp, get16(segment + 2));
    put16(tcp + 2, get16(segment));
    put32(tcp + 4, sequence);
    put32(tcp + 8, acknowledged);
    tcp[12] = TCP / 4 << 4, tcp[13] = ours;
    put16(tcp + 14, 8192);
    u32 addresses = sum(address, 4, sum(in + ETHERNET + 12, 4, 6 + TCP + said));
    put16(tcp + 16, checksum(sum(tcp, TCP + said, addresses)));
    answer_ip(in, 6, TCP + said);
}

static void on_frame(const u8 *in, u32 length) {
    if (length < ETHERNET + 28) return;
    if (get16(in + 12) == 0x806) on_arp(in);
    if (get16(in + 12) != 0x800 || !is_ours(in + ETHERNET + 16)) return;
    u32 header = (in[ETHERNET] & 15) * 4, total = get16(in + ETHERNET + 2);
    if (header < IP || total < header || total > length - ETHERNET) return;
    const u8 *payload = in + ETHERNET + header;
    if (in[ETHERNET + 9] == 1) on_ping(in, payload, total - header);
    if (in[ETHERNET + 9] == 6 && total - header >= TCP) on_tcp(in, payload, total - header);
}

void poll_network(void) {
    u32 length, id;
    u8 *in = receive(&incoming, &length, &id);
    if (!in) return;
    if (length > VIRTIO_HEADER) on_frame(in + VIRTIO_HEADER, length - VIRTIO_HEADER);
    give_back(&incoming, id);
}
