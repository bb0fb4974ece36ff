/* PVH entry: 32-bit protected mode, flat segments, paging off. The note tells QEMU where it is (Xen's elfnote.h: 18 is PHYS32_ENTRY). */
.section .note.Xen, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long _start

.section .text.start, "ax"
.globl _start
_start:
    cli
    mov $0x9f000, %esp
    call guest_main
1:  jmp 1b
