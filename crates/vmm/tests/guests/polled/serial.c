/* The first serial port. */
#include "guest.h"

#define SERIAL 0x3f8

void print(const char *text) {
    while (*text) out_byte(SERIAL, (u8)*text++);
}

void print_number(u64 number) {
    char digits[24];
    format_number(digits, number);
    print(digits);
}

int format_number(char *to, u64 number) {
    char reversed[24];
    int count = 0, length = 0;
    do reversed[count++] = '0' + number % 10;
    while (number /= 10);
    while (count) to[length++] = reversed[--count];
    to[length] = 0;
    return length;
}
