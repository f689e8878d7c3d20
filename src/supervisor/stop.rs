//! Ending sessions, and what a dead shim left behind.
//!
//! A shim is asked first, so that it can end its child's tree and record how; then
//! the substrate proves that nothing is left. It leaves out who is to be ended.

use std::path::Path;
use std::time::{Duration, Instant};

use ilchul_subprocess::process::{self, Identity};
use ilchul_substrate::{Handle, State, Urgency};

use super::clock::boot_id;
use super::launch::words;
use super::world::World;
use crate::engine::input::Seen;
use crate::mail;
use crate::protocol::{self, Heartbeat, Stop, WORKER_SCHEMA};

/// Where a session's handle keeps the boot in which its process identity means anything.
const BOOT: &str = "boot_id";
/// How often a stopping session is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// How much longer than its grace a shim may take to record the end.
const MARGIN: Duration = Duration::from_secs(2);

/// Ends one session: asked first, unless it is `at_once`.
fn stop(world: &World, handle: &Handle, folder: &Path, (token, grace): (u64, Option<Duration>)) -> Seen {
    // A worker that can't be asked any more is ended below.
    if let Some(grace) = grace.filter(|grace| order(folder, token, *grace)) {
        await_end(world, handle, grace + MARGIN);
    }
    let urgency = if grace.is_some() { Urgency::Asked } else { Urgency::AtOnce };
    // What wouldn't end when asked is ended; what even that couldn't end is told.
    let released =
        world.sessions.release(handle, urgency).or_else(|_| world.sessions.release(handle, Urgency::AtOnce));
    end_remains(handle, folder, (token, Duration::ZERO));
    Seen::Stopped { trouble: released.err().map(|error| format!("stop: {}", words(&error))) }
}

/// How long a look for a session is tried again before that is said.
const FIND_PATIENCE: Duration = Duration::from_secs(5);
/// How long after a look that failed the next is taken.
const FIND_EVERY: Duration = Duration::from_millis(250);

/// Ends a worker's session, which is found by its mark where nobody could journal it.
pub fn find_and_stop(
    world: &World,
    (id, session): (&str, Option<Handle>),
    folder: &Path,
    order: (u64, Option<Duration>),
) -> Seen {
    let found = match session {
        Some(session) => Ok(Some(session)),
        None => find(world, id),
    };
    match found {
        Ok(Some(session)) => stop(world, &session, folder, order),
        Ok(None) => Seen::Stopped { trouble: None },
        Err(error) => Seen::NotStopped { detail: words(&error) },
    }
}

/// Looks for a worker's session. A look that failed proves nothing (law L9), so it is taken again.
fn find(world: &World, id: &str) -> Result<Option<Handle>, ilchul_substrate::Error> {
    let deadline = Instant::now() + FIND_PATIENCE;
    loop {
        match world.sessions.discover(&world.run) {
            Ok(found) => {
                return Ok(found.into_iter().find(|(mark, _)| mark.worker() == id).map(|(_, handle)| handle));
            }
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => std::thread::sleep(FIND_EVERY),
        }
    }
}

fn await_end(world: &World, handle: &Handle, limit: Duration) {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        let observed = world.sessions.observe(std::slice::from_ref(handle));
        let ended = observed.first().is_some_and(|seen| match seen.state {
            State::Ended(_) | State::Absent => true,
            State::Queued(_) | State::Stuck(_) | State::Live(_) | State::Unknown(_) => false,
        });
        if ended {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Ends what a session left that is gone: a shim that outlived its terminal records the end
/// itself, and of one that is dead the child is ended. The next attempt must not run beside
/// either. Only identities that were recorded in this very boot count (law L19).
pub fn end_remains(session: &Handle, folder: &Path, (token, grace): (u64, Duration)) {
    if session.fields.get(BOOT).is_some_and(|boot| *boot != boot_id()) {
        return;
    }
    let lives = |shim: &Identity| process::is_running(*shim).unwrap_or(false);
    let shim = shim_of(session).filter(lives);
    if let Some(shim) = &shim
        && order(folder, token, grace)
    {
        let deadline = Instant::now() + grace + MARGIN;
        while Instant::now() < deadline && lives(shim) {
            std::thread::sleep(LOOK_EVERY);
        }
    }
    end_orphan(folder);
    if let Some(shim) = shim {
        let _ = process::end_tree(shim, Duration::ZERO);
    }
}

/// The process that the session was started with.
fn shim_of(session: &Handle) -> Option<Identity> {
    let pid = session.fields.get("pid").unwrap_or(&session.id).parse().ok()?;
    Some(Identity { pid, start_ticks: session.fields.get("start_ticks")?.parse().ok()? })
}

/// Asks a shim to end its child's tree; false where it can't be asked any more.
pub fn order(folder: &Path, token: u64, grace: Duration) -> bool {
    let order = Stop {
        schema: WORKER_SCHEMA.to_owned(),
        token: Some(token),
        grace_ms: Some(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)),
    };
    mail::write_json(folder, protocol::STOP, &order, false).is_ok()
}

/// Ends the child of a shim that is gone, as its last heartbeat identifies it.
fn end_orphan(folder: &Path) {
    let Ok(Some(bytes)) = mail::read_bounded(folder, protocol::HEARTBEAT) else { return };
    let Ok(beat) = protocol::parse::<Heartbeat>(&bytes) else { return };
    let Some(child) = beat.child else { return };
    let Some(start_ticks) = child.start_ticks else { return };
    let identity = Identity { pid: child.pid, start_ticks };
    // Survivors are named by the next probe of the session; there is nothing to add here.
    let _ = process::end_tree(identity, Duration::ZERO);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn l19_a_recorded_child_of_another_boot_is_nobody_that_may_be_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let ticks = process::identify(child.id()).unwrap().unwrap().identity.start_ticks;
        let beat = serde_json::json!({"schema": WORKER_SCHEMA, "token": 1, "seq": 1, "at": "now",
            "child": {"pid": child.id(), "started_at": "now", "start_ticks": ticks, "alive": true}});
        std::fs::write(dir.path().join(protocol::HEARTBEAT), beat.to_string()).unwrap();
        let session = |boot: &str| Handle {
            mark: "ilchul.r.a.1".parse().unwrap(),
            kind: "subprocess".to_owned(),
            id: "7".to_owned(),
            fields: BTreeMap::from([(BOOT.to_owned(), boot.to_owned())]),
        };
        end_remains(&session("another"), dir.path(), (1, Duration::ZERO));
        assert!(child.try_wait().unwrap().is_none(), "a process of this boot was ended");
        end_remains(&session(&boot_id()), dir.path(), (1, Duration::ZERO));
        assert!(!child.wait().unwrap().success());
    }
}
