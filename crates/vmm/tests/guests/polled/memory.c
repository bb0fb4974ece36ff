/* Page tables that reach the devices, and memory that is never given back. */
#include "guest.h"

#define LARGE_PAGE 0x83
#define UNCACHED 0x18

static u64 level4[512] __attribute__((aligned(4096)));
static u64 level3[512] __attribute__((aligned(4096)));
static u64 level2[4][512] __attribute__((aligned(4096)));
static u64 free_memory = 0x800000;

void map_four_gigabytes(void) {
    level4[0] = (u64)level3 | 3;
    for (u64 gigabyte = 0; gigabyte < 4; gigabyte++) {
        level3[gigabyte] = (u64)level2[gigabyte] | 3;
        for (u64 page = 0; page < 512; page++)
            level2[gigabyte][page] = (gigabyte << 30) | (page << 21) | LARGE_PAGE | (gigabyte == 3 ? UNCACHED : 0);
    }
    __asm__ volatile("mov %0, %%cr3" ::"r"((u64)level4) : "memory");
}

void *allocate(u64 bytes) {
    void *memory = (void *)free_memory;
    free_memory += (bytes + 4095) & ~4095UL;
    return memset(memory, 0, bytes);
}

void *memcpy(void *to, const void *from, u64 bytes) {
    for (u64 at = 0; at < bytes; at++) ((u8 *)to)[at] = ((const u8 *)from)[at];
    return to;
}

void *memset(void *to, int value, u64 bytes) {
    for (u64 at = 0; at < bytes; at++) ((u8 *)to)[at] = (u8)value;
    return to;
}
