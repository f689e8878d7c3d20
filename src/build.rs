//! Link options of the program: a fixed load address.
//!
//! Every worker's shim is this program, started anew. As a position-independent
//! executable it relocates some twenty thousand pointers and copies a hundred pages
//! at each start, a quarter of a short task's whole cost (measured: 1.92 ms against
//! 1.45 ms). It leaves out everything else that a build may do.

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    let target = |name: &str, wanted: &str| std::env::var(name).is_ok_and(|found| found == wanted);
    if target("CARGO_CFG_TARGET_OS", "linux") && target("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
        // The unwinder from its archive: a library fewer to find, map and set up at each start.
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}
