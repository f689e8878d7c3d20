//! The shim's two clocks: a label for people, and one to wait by.
//!
//! It leaves out comparing either with another process's: ages are the supervisor's.

use std::time::Instant;

/// The wall clock as an RFC 3339 label; nothing is decided by it.
pub(super) fn label() -> String {
    jiff::Timestamp::now().to_string()
}

/// The clock to wait by: it never jumps, and it stands still while suspended.
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The wall clock in whole seconds since 1970: only for a wait that somebody else's clock ends.
pub(super) fn unix() -> i64 {
    jiff::Timestamp::now().as_second()
}
