# Entered in 64-bit mode, interrupts off, with the address of the boot parameters in %rsi.
.section .text.start, "ax"
.globl _start
_start:
    cli
    mov $0x8ff0, %rsp
    call run
1:  jmp 1b
