//! What of a fold and its pulses can matter to what follows, as numbers: a state's identity.
//!
//! Left out are words, digests and the labels of time, on which nothing is decided;
//! `main.rs` tests that states which are equal here behave alike.

use ilchul::engine::Engine;
use ilchul::engine::evidence::{ChildExit, Verdict};
use ilchul::engine::moment::Moment;
use ilchul::engine::state::{RunPhase, RunState, TaskState, WorkerState};

/// A whole engine. `lives`: pulses and nonces of a dead supervisor are nobody's.
pub fn engine(engine: &Engine, lives: bool, into: &mut Vec<u64>) {
    rows(engine.state(), into);
    for (id, worker) in &engine.state().workers {
        into.push(worker.seen_reports.len() as u64);
        if !lives {
            continue;
        }
        into.push(u64::from(engine.nonce(id).is_some()));
        if let Some(pulse) = engine.pulses().get(id) {
            into.extend([
                pulse.seen.0,
                pulse.since.0,
                moment(pulse.regained),
                pulse.seq.map_or(0, |seq| seq + 1),
                u64::from(pulse.complained),
            ]);
        } else {
            into.push(u64::MAX);
        }
    }
}

/// The fold alone, without the memory of which reports were seen: what law L7 calls rows.
pub fn rows(state: &RunState, into: &mut Vec<u64>) {
    into.extend([
        match state.phase {
            RunPhase::Running => 0,
            RunPhase::Interrupted => 1,
            RunPhase::Ended { success } => 2 + u64::from(success),
        },
        state.stopping.map_or(0, |force| 1 + u64::from(force)),
        state.tasks.len() as u64,
        state.last_token,
        state.attempts_spent as u64,
        state.workers.len() as u64,
    ]);
    state.tasks.iter().for_each(|state| task(state, into));
    state.workers.values().for_each(|state| worker(state, into));
}

fn task(state: &TaskState, into: &mut Vec<u64>) {
    let seen = state.evidence.iter().fold(1, |all, checked| {
        let verdict = match checked.verdict {
            Verdict::Verified => 1,
            Verdict::Refuted => 2,
            Verdict::Unverifiable => 3,
        };
        all << 2 | verdict
    });
    into.extend([
        state.phase as u64,
        u64::from(state.attempt) << 32 | u64::from(state.allowed),
        moment(state.defer_until),
        u64::from(state.rounds) << 32 | seen,
        u64::from(state.head.is_some()) << 2
            | u64::from(state.restart_at.is_some()) << 1
            | u64::from(state.base.is_some()),
        state.refuted.len() as u64,
        u64::from(state.found) << 1 | u64::from(state.recovers.is_some()),
        state.unended as u64,
        state.open_children as u64,
        u64::from(state.by_design) << 1 | u64::from(state.outputs.is_empty()),
    ]);
}

fn worker(state: &WorkerState, into: &mut Vec<u64>) {
    let flags = [
        state.token_live,
        state.expired,
        state.workspace.is_some(),
        state.session.is_some(),
        state.pid.is_some(),
        state.acknowledged,
        state.stopped,
        state.settled,
        state.report.is_some(),
        state.captured.is_some(),
        matches!(state.captured, Some(Some(_))),
        state.stop.is_some(),
        state.stop == Some(true),
        state.at_large,
        state.recovered_from.is_some(),
    ];
    let exit = match state.exit {
        None => 0,
        Some(ChildExit::Code(code)) => 1 + u64::from(code == 0),
        Some(ChildExit::Signal(_)) => 3,
        Some(ChildExit::Unknown) => 4,
    };
    into.extend([
        state.phase as u64 | exit << 8,
        state.token,
        flags.into_iter().fold(1, |all, flag| all << 1 | u64::from(flag)),
        state.expires.0,
        moment(state.launched_at),
        moment(state.dispatched_at),
        moment(state.paused_since),
        // Which life granted it: only there its nonce is known.
        state.nonce_sha256.bytes().take(8).fold(0, |all, byte| all << 8 | u64::from(byte)),
    ]);
}

fn moment(at: Option<Moment>) -> u64 {
    at.map_or(0, |at| at.0 + 1)
}
