//! Real agents at work: installed by `scripts/agents`, in a network of their own that has
//! nothing but a loopback, in front of a scripted model.
//!
//! This target isn't run by a plain `cargo test`, because it needs them: `scripts/test` installs
//! them and says which couldn't be. It leaves out what fake agents show as well, which the tests
//! of the shim and of the adapters hold.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod limits;
mod lives;
mod model;
mod sealed;
mod stage;
mod talks;
mod task;
#[path = "../acceptance/world.rs"]
#[expect(dead_code, reason = "the acceptance tests use more of it")]
mod world;
