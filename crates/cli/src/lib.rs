//! The operator's hand: machines and snapshots through the daemon, object stores without a control plane, images.
