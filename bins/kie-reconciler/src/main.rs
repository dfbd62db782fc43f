//! kie-reconciler.

fn main() {}
