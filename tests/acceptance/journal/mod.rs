//! The journal from outside: folded by others, taken away, full, newer, and kept for good.
//!
//! It leaves out what the journal's own tests prove on its files.

mod fold;
mod other_fold;
mod sample;
mod trouble;
