//! ilchul in the company that it keeps: real shells, `man`, tmux, collectors, packages.
//!
//! Each test hands what ilchul printed to the program that it is meant for, and looks at what
//! that program makes of it. It leaves out what the commands say to people.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod collector;
mod completion;
#[path = "../signals/in_time.rs"]
mod in_time;
mod install;
mod man;
mod metrics;
mod pane;
mod snippet;
mod trace;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "the acceptance tests use more of it")]
mod world;

/// Three tasks of which one waits for a person.
const STORY: &str = "
tasks:
  greet: { run: 'true' }
  grow: { run: 'true', needs: [greet] }
  ship: { run: 'true', needs: [grow], evidence: [ { exit: 0 }, { approval: { message: Ship it? } } ] }
";

/// A world whose run went on as far as it can without a person.
fn story() -> world::World {
    let world = world::World::with(STORY);
    world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    world
}
