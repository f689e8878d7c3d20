//! What goes wrong from outside, and what people ask meanwhile: drawn from the seed,
//! each at a time of its own.
//!
//! Crashes at the boundaries of a turn are the shell's (`shell.rs`); this leaves out
//! what single effects and files suffer (`perform.rs`, `world.rs`).

use ilchul::engine::Engine;
use ilchul::engine::input::{Answer, Choice, Request};
use ilchul::engine::outstanding::asked;
use ilchul::engine::state::{RunPhase, RunState};
use ilchul::engine::task_table::TaskPhase;
use ilchul::engine::worker_table::WorkerPhase;

use crate::laws::Broken;
use crate::shell::{Stage, lives, stamp_without};
use crate::worker;
use crate::world::{Happening, Message, Session, World};

/// Most faults of a run that come by their own time.
const FAULTS_MAX: u64 = 12;
/// Most requests of a run.
const REQUESTS_MAX: u64 = 6;
/// When the last of them comes.
const LAST_MS: u64 = 90_000;

/// Something from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of the supervisor, wherever it is.
    Crash,
    /// A signal that asks it to stop.
    Interrupt,
    /// The machine starts anew.
    Reboot,
    /// The supervisor is stopped for a while.
    Freeze(u64),
    /// The wall clock is set.
    WallJump(i64),
    /// A session is killed from outside.
    KillSession(u64),
    /// A shim is killed, and its child is not.
    KillShim(u64),
    /// A worker writes its last files once more.
    Repeat(u64),
    /// A person asks for something.
    Ask(u64),
    /// A person answers whoever waits longest.
    Respond,
}

/// Plans what the seed says.
pub fn plan(world: &mut World) {
    let count = world.chance.pick("fault count", (0, 0), FAULTS_MAX + 1);
    for n in 0..count {
        let at = world.chance.span("fault at", (n, 0), (200, LAST_MS));
        let value = world.chance.pick("fault value", (n, 0), 1_000);
        let fault = match world.chance.pick("fault", (n, 0), 12) {
            0 => continue,
            1..=3 => Fault::Crash,
            4 => Fault::Interrupt,
            5 => Fault::Reboot,
            6 => Fault::Freeze(1_000 + value * 30),
            7 => Fault::WallJump((i64::try_from(value).unwrap_or_default() - 300) * 1_000),
            8 => Fault::KillSession(value),
            9 => Fault::KillShim(value),
            _ => Fault::Repeat(value),
        };
        world.after(at, Happening::Fault(fault));
    }
    for n in 0..world.chance.pick("request count", (0, 0), REQUESTS_MAX + 1) {
        let at = world.chance.span("request at", (n, 0), (200, LAST_MS));
        if world.chance.pick("request", (n, 0), 6) != 0 {
            world.after(at, Happening::Fault(Fault::Ask(n)));
        }
    }
}

/// A worker that was made, chosen by a number.
fn one_of(world: &World, n: u64) -> Option<String> {
    let ids: Vec<&String> = world.actors.keys().filter(|id| lives(world, id)).collect();
    let index = usize::try_from(n).ok()?.checked_rem(ids.len())?;
    ids.get(index).map(|id| (*id).clone())
}

/// What happens to the world; what happens to the supervisor is `sim.rs`'s.
pub fn strike(world: &mut World, fault: Fault) {
    match fault {
        Fault::Reboot => world.reboot(),
        Fault::Freeze(ms) => world.frozen_until = world.now + ms,
        Fault::WallJump(ms) => world.wall_offset += ms,
        Fault::KillSession(n) => {
            if let Some(id) = one_of(world, n) {
                let left = n.is_multiple_of(2).then_some(Session::Ended(None));
                world.kill(&id, left);
            }
        }
        Fault::KillShim(n) => {
            let told = |id: &String| world.actors.get(id).is_some_and(|actor| actor.child_told);
            if let Some(id) = one_of(world, n).filter(told) {
                worker::shim_dies(world, &id);
            }
        }
        Fault::Repeat(n) => {
            if let Some(id) = one_of(world, n) {
                let files = world.disk.mail.get(&id).map(|folder| folder.files.clone()).unwrap_or_default();
                files.into_values().for_each(|(_, body)| world.deposit(&id, body));
            }
        }
        Fault::Crash | Fault::Interrupt | Fault::Ask(_) | Fault::Respond => {}
    }
}

/// What a person asks: mostly something that can be granted.
pub fn request(world: &mut World, n: u64, state: &RunState) -> Request {
    let tasks = state.tasks.len() as u64;
    let index = usize::try_from(world.chance.pick("request whom", (n, 0), tasks)).unwrap_or_default();
    let fitting = |wanted: &dyn Fn(usize) -> bool| {
        let rotated = (0..state.tasks.len()).map(|k| (k + index) % state.tasks.len());
        let task = rotated.into_iter().find(|task| wanted(*task)).unwrap_or(index);
        (state.planned(task).id.clone(), format!("{}.{}", state.planned(task).id, state.tasks[task].attempt))
    };
    let ended = |task: usize| {
        matches!(state.tasks[task].phase, TaskPhase::Failed | TaskPhase::Partial | TaskPhase::Cancelled)
    };
    let phase = |task: usize| state.current_worker(task).map(|(_, worker)| worker.phase);
    let asks = |task: usize| asked(state, task).is_some();
    match world.chance.pick("request verb", (n, 0), 10) {
        0 | 1 => Request::Retry { task: fitting(&ended).0 },
        2 | 3 => Request::Cancel { task: fitting(&|task| !state.tasks[task].phase.is_terminal()).0 },
        4 => Request::Down { force: n.is_multiple_of(2) },
        5 => {
            let worker = fitting(&|task| phase(task) == Some(WorkerPhase::CompletedRetained)).1;
            Request::Release { worker, observations: Vec::new() }
        }
        6 => Request::Retain { worker: fitting(&|task| phase(task) == Some(WorkerPhase::SafeToClose)).1 },
        7 if !state.moving.is_empty() => {
            let blocked = |task: usize| state.tasks[task].phase == TaskPhase::Blocked;
            respond(&fitting(&blocked).0)
        }
        9 if (0..state.tasks.len()).any(asks) => answer(&fitting(&asks).0, !n.is_multiple_of(3)),
        verb => {
            let choice =
                [Choice::Rerun, Choice::Skip, Choice::Accept][usize::try_from(verb % 3).unwrap_or_default()];
            Request::Decide { task: fitting(&|task| in_doubt(state, task)).0, choice }
        }
    }
}

/// Somebody's answer to what a task asks.
pub fn answer(task: &str, yes: bool) -> Request {
    let answer = Answer { yes, who: "somebody".to_owned(), reason: None };
    Request::Answer { task: task.to_owned(), answer }
}

/// Somebody's answer to what a worker asks.
pub fn respond(task: &str) -> Request {
    Request::Respond { task: task.to_owned(), text: "so".to_owned(), who: "somebody".to_owned() }
}

/// Whether a task waits for a person's word.
pub fn in_doubt(state: &RunState, task: usize) -> bool {
    state.tasks[task].phase.is_held()
        && state
            .current_worker(task)
            .is_some_and(|(_, worker)| worker.expired || worker.phase == WorkerPhase::Unhealthy)
}

/// Asks a supervisor, where there is one: a row, and a bell that may go unheard.
/// Without one, the command decides by itself under the lock.
pub fn ask(stage: &mut Stage<'_>, n: u64, request: Request) -> Result<(), Broken> {
    let world = &mut *stage.world;
    world.say(|| format!("a person asks: {request:?}"));
    if let Request::Answer { task, answer } = &request
        && answer.yes
    {
        world.ledger.approved.insert(task.clone());
    }
    if let Some(life) = world.life {
        world.disk.requests.insert(n, request);
        if !world.chance.rarely("bell lost", (n, 0), 200) {
            world.after(3, Happening::Message(life, Message::Bell));
        }
        return Ok(());
    }
    let rows = world.disk.journal.clone();
    let mut engine = Engine::replay(rows).map_err(|error| Broken::new("j12_every_past_is_legal", error))?;
    stage.laws.opened(&engine, &world.disk.journal)?;
    let now = stamp_without(world, engine.state());
    if engine.request(now, &request).is_err() {
        return Ok(());
    }
    let rows: Vec<_> = engine.take_events().into_iter().map(|event| (now.stamp, event)).collect();
    stage.laws.decided(&rows, &engine)?;
    world.write(&rows);
    stage.laws.committed(&rows, world)?;
    let open = engine.state().phase != RunPhase::Running;
    if open && matches!(request, Request::Retry { .. }) {
        world.after(500, Happening::Restart);
    }
    Ok(())
}
