//! Waiting in tests: on a condition, with a deadline, and nowhere else.
//!
//! It leaves out sleeping for a fixed time; that proves nothing and costs always.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test that passes never waits that long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks. Short beside what is waited for (a spawn, an exit).
const PAUSE: Duration = Duration::from_millis(3);

/// Returns once `condition` holds.
///
/// # Panics
/// When it doesn't hold within `deadline`; the message is `what`.
#[track_caller]
pub fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, deadline, || condition().then_some(()));
}

/// The first `Some` that `look` answers.
///
/// # Panics
/// When it answers none within `deadline`; the message is `what`.
#[track_caller]
pub fn wait_for<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        // Late is decided before the look, so that the last look is a whole one.
        let late = began.elapsed() >= deadline;
        if let Some(found) = look() {
            return found;
        }
        assert!(!late, "waited {deadline:?} in vain: {what}");
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_what_was_found() {
        let mut looks = 0;
        let found = wait_for("the third look", PATIENCE, || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(found, 3);
    }

    #[test]
    #[should_panic(expected = "in vain: pigs fly")]
    fn a_wait_in_vain_says_for_what() {
        wait_until("pigs fly", Duration::ZERO, || false);
    }
}
