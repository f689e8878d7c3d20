//! Link options of the program: a fixed load address. And the name of what folds a run.
//!
//! Every worker's shim is this program, started anew. As a position-independent
//! executable it relocates some twenty thousand pointers and copies a hundred pages
//! at each start, a quarter of a short task's whole cost (measured: 1.92 ms against
//! 1.45 ms).
//!
//! `ILCHUL_FOLD` tells the sources that a run's fold follows from: one that was kept is only
//! taken up by the very sources that made it. It leaves out everything else that a build may do.

use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

/// What the fold of a run follows from.
const FOLDS: [&str; 3] = ["src/engine", "src/workflow", "src/protocol"];

fn main() {
    let mut files = Vec::new();
    for folder in FOLDS {
        println!("cargo::rerun-if-changed={folder}");
        list(Path::new(folder), &mut files);
    }
    files.sort();
    let mut hash = DefaultHasher::new();
    for file in files {
        // A file that can't be read can't be compiled either, and is reported there.
        hash.write(&std::fs::read(file).unwrap_or_default());
    }
    println!("cargo::rustc-env=ILCHUL_FOLD={:016x}", hash.finish());
    println!("cargo::rerun-if-changed=src/build.rs");
    let target = |name: &str, wanted: &str| std::env::var(name).is_ok_and(|found| found == wanted);
    if target("CARGO_CFG_TARGET_OS", "linux") && target("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
        // The unwinder from its archive: a library fewer to find, map and set up at each start.
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { list(&path, files) } else { files.push(path) }
    }
}
