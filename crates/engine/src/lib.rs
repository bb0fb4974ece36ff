//! What the daemon decides: plans, steps, the saga, phases, reconcile, allocation and layout.
