//! How a guest runs: QEMU and Firecracker, process identity and the jail; one conformance suite for all.
