//! The adapter against the real kernel: a host of its own and an internet of its own for every test, each a network
//! namespace, so that the machine the tests run on is not touched. They need root, `nft`, `ip` and /dev/net/tun, and say
//! so when they are skipped. Only `relay` stays on the loopback.

mod deny;
mod guest;
mod lifecycle;
mod names;
mod place;
mod reach;
mod relay;
mod two_daemons;
mod warm;
mod world;
