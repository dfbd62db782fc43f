//! Writes the seeds of a fuzzer as files: `seeds TARGET SOURCE_OF_TRUTH FOLDER`.
#![expect(dead_code, reason = "only the seeds of the targets are used")]

#[path = "targets/mod.rs"]
mod targets;

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, source, folder] = arguments.as_slice() else {
        return Err("usage: seeds TARGET SOURCE_OF_TRUTH FOLDER".into());
    };
    std::fs::create_dir_all(folder)?;
    for (n, seed) in targets::seeds::seeds(Path::new(source), target).iter().enumerate() {
        std::fs::write(Path::new(folder).join(format!("seed-{n:03}")), seed)?;
    }
    Ok(())
}
