//! Ending sessions, and what a dead shim left behind.
//!
//! A shim is asked first, so that it can end its child's tree and record how; then
//! the substrate proves that nothing is left. It leaves out who is to be ended.

use std::path::Path;
use std::time::{Duration, Instant};

use ilchul_subprocess::process::{self, Identity};
use ilchul_substrate::{Handle, State, Urgency};

use super::launch::words;
use super::world::World;
use crate::engine::input::Seen;
use crate::mail;
use crate::protocol::{self, Heartbeat, Stop, WORKER_SCHEMA};

/// How often a stopping session is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How much longer than its grace a shim may take to record the end.
const MARGIN: Duration = Duration::from_secs(2);

/// Ends one session: asked first, unless it is `at_once`.
pub fn stop(world: &World, handle: &Handle, folder: &Path, (token, grace): (u64, Option<Duration>)) -> Seen {
    if let Some(grace) = grace {
        let order = Stop {
            schema: WORKER_SCHEMA.to_owned(),
            token: Some(token),
            grace_ms: Some(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)),
        };
        // A worker that can't be asked any more is ended below.
        if mail::write_json(folder, protocol::STOP, &order, false).is_ok() {
            await_end(world, handle, grace + MARGIN);
        }
    }
    let urgency = if grace.is_some() { Urgency::Asked } else { Urgency::AtOnce };
    // What wouldn't end when asked is ended; what even that couldn't end is told.
    let released =
        world.sessions.release(handle, urgency).or_else(|_| world.sessions.release(handle, Urgency::AtOnce));
    end_orphan(folder);
    Seen::Stopped { trouble: released.err().map(|error| format!("stop: {}", words(&error))) }
}

/// The session of a worker whose launch nobody could journal, found by its mark.
pub fn find(world: &World, id: &str) -> Option<Handle> {
    let found = world.sessions.discover(&world.run).ok()?;
    found.into_iter().find(|(mark, _)| mark.worker() == id).map(|(_, handle)| handle)
}

fn await_end(world: &World, handle: &Handle, limit: Duration) {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        let observed = world.sessions.observe(std::slice::from_ref(handle));
        let ended = observed.first().is_some_and(|seen| match seen.state {
            State::Ended(_) | State::Absent => true,
            State::Queued(_) | State::Live(_) | State::Unknown(_) => false,
        });
        if ended {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Ends the child of a shim that is gone: nobody is left to record its end, and the
/// next attempt must not run beside it. Only the identity that the shim recorded counts.
pub fn end_orphan(folder: &Path) {
    let Ok(Some(bytes)) = mail::read_bounded(folder, protocol::HEARTBEAT) else { return };
    let Ok(beat) = protocol::parse::<Heartbeat>(&bytes) else { return };
    let Some(child) = beat.child else { return };
    let Some(start_ticks) = child.start_ticks else { return };
    let identity = Identity { pid: child.pid, start_ticks };
    // Survivors are named by the next probe of the session; there is nothing to add here.
    let _ = process::end_tree(identity, Duration::ZERO);
}
