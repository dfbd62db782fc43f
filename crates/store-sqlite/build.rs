//! Rebuilds the crate when a migration is added: the embedded list is fixed at compile time.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
