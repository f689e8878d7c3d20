//! `ilchul page` on real runs: the file that is written, and what a real browser makes of it.
//!
//! The built binary in the sealed world of the acceptance tests, and headless Chromium with no
//! way to any network. It leaves out escaping, which `src/render/page/tests.rs` holds.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod browser;
mod file;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "it is shared with tests that need more of it")]
mod world;

use world::World;

/// A loop, a tournament with one who withdraws, a retry, a failure, and an open question.
pub const RICH: &str = "tasks:\n\
    \x20 test: { run: 'echo one; echo two; exit 1', retries: 1 }\n\
    \x20 fix:\n\
    \x20   needs: [{ task: test, when: failed }]\n\
    \x20   loop: { max: 3, until: { command: 'test $(wc -l < steps) -ge 2' }, each: { run: 'echo x >> steps' } }\n\
    \x20 best:\n\
    \x20   tournament:\n\
    \x20     entrants: 3\n\
    \x20     each: { run: 'case $ILCHUL_TASK in *e2) exit 1;; esac; echo $ILCHUL_TASK > entry' }\n\
    \x20     judge: { run: 'ilchul report --status done --summary \"<b>left</b> & right\" --output winner=left' }\n\
    \x20 ship:\n\
    \x20   needs: [fix, best]\n\
    \x20   run: 'printf \"\\033[1mbold\\033[0m <img src=x>\\n\"; echo out > out.txt'\n\
    \x20   evidence: [{ artifact: out.txt }, { command: 'echo looked && test -f out.txt' }, { approval: { message: 'Ship <it>?' } }]\n\
    \x20 tail: { needs: [ship], run: 'true' }\n";

/// A world in which [`RICH`] has come as far as it does by itself.
pub fn rich() -> World {
    let world = World::with(RICH);
    world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    world
}
