# Entered in 64-bit mode, interrupts off, with the address of the boot parameters in %rsi: at the address that the ELF header names, or, as a
# bzImage, where every such kernel has its 64-bit entry, 0x200 behind its beginning. Both are this one.
.section .text.start, "ax"
    .skip 0x200
.globl _start
_start:
    cli
    mov $0x8ff0, %rsp
    call run
1:  jmp 1b
