//! The binary in a sealed world: what a user of `ilchul up` can rely on.
//!
//! Real git, real processes, real tmux on a server of each test's own. It leaves out what
//! smaller tests prove: the tables, the parsers, the substrates' own promises.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

mod adopt;
mod agents;
mod budget;
mod bundle;
mod close;
mod control;
mod drift;
mod evidence;
mod evidence_approval;
mod evidence_log;
mod evidence_no_change;
mod evidence_review;
mod home;
mod journal;
mod laws;
mod life;
mod main_job;
mod policies;
mod read;
mod resumed;
mod retention;
mod setup;
mod setup_approval;
mod submit;
mod trouble;
mod up_again;
mod workers;
mod world;
