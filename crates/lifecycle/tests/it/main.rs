//! The life of a job where time and chance are arguments: named stories, a crash at every stop, and a simulation of
//! random shops.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod answers;
mod cabinet;
mod crash;
mod crowd;
mod deliveries;
mod doubt;
mod ears;
mod endings;
mod files;
mod gate;
mod gated_store;
mod kie;
mod orders;
mod outputs;
mod pace;
mod proof;
mod shelf;
mod shop;
mod simulation;
mod task;
mod unclear;
mod upkeep;
mod world;
