//! How we know: a fake host, fault sweeps, real daemons and real guests.
