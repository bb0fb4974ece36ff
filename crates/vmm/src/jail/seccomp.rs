//! The few system calls that a keeper needs once its program runs; every other fails with EPERM.
//!
//! The program itself brings a filter of its own (QEMU's `-sandbox`): this one is put on after the program has been started.

use std::io;

use libc::{c_long, sock_filter};

use super::sys;

/// `AUDIT_ARCH_X86_64` of linux/audit.h: 64-bit, little-endian, EM_X86_64.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
/// `AUDIT_ARCH_AARCH64` of linux/audit.h: 64-bit, little-endian, EM_AARCH64.
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Reading output, writing rings, waiting, and what the allocator and the end of a process need.
const ALLOWED: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_pwrite64,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_fdatasync,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Where `struct seccomp_data` holds the number of the call and the architecture.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// Puts the filter on this process, for good.
pub(super) fn confine() -> io::Result<()> {
    sys::install_filter(&program())
}

/// Loads the architecture, then the number; each allowed number jumps to the end.
fn program() -> Vec<sock_filter> {
    let load = |at| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at);
    let leave = |verdict| statement(libc::BPF_RET | libc::BPF_K, verdict);
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let mut program = vec![
        load(ARCHITECTURE_AT),
        jump_if_equal(ARCHITECTURE, 1),
        leave(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER_AT),
    ];
    for (index, number) in ALLOWED.iter().enumerate() {
        let to_the_end = ALLOWED.len() - index;
        program.push(jump_if_equal(
            u32::try_from(*number).expect("system calls have small numbers"),
            u8::try_from(to_the_end).expect("the list has fewer than 256 entries"),
        ));
    }
    program.extend([leave(refuse), leave(libc::SECCOMP_RET_ALLOW)]);
    program
}

fn statement(code: u32, value: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).expect("codes have 16 bits"), jt: 0, jf: 0, k: value }
}

fn jump_if_equal(value: u32, forward: u8) -> sock_filter {
    sock_filter { jt: forward, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_allowed_call_jumps_to_the_last_instruction_and_the_rest_fall_to_the_refusal() {
        let program = program();
        let last = program.len() - 1;

        for (at, instruction) in program.iter().enumerate().skip(4).take(ALLOWED.len()) {
            assert_eq!(at + 1 + usize::from(instruction.jt), last);
        }
        assert_eq!(program[last].k, libc::SECCOMP_RET_ALLOW);
        assert_eq!(program[last - 1].k, libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs());
        assert_eq!(program[4 + ALLOWED.len()].code, program[last].code, "nothing lies between");
    }
}
