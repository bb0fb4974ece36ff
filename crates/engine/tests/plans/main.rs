//! Whole plans, by value: what a request becomes, before anything happens.

mod facts;
mod machines;
mod refusals;
mod restores;
mod snapshots;
mod uploads;
