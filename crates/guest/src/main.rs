//! The agent inside a guest.

fn main() {}
