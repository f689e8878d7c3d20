//! The laws as properties, and the auditor that holds every decision against the world.
//!
//! What only a transition can show is noted in the state when it happens; the rest is
//! read off a state. It leaves out laws that have no two sides here: retention, signals,
//! files.

use ilchul::engine::Engine;
use ilchul::engine::event::{ClaimStep, Event, TaskEvent, TaskStep, WorkerStep};
use ilchul::engine::task_table::TaskPhase;
use ilchul::workflow::OnLost;
use stateright::Property;

use crate::machine::Machine;
use crate::plan::{LOST_STEPS, Plan, Shape};
use crate::state::{State, Whom};
use crate::world::Shim;

/// What a transition can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// A token that somebody was told was given out again.
    TokenTwice,
    /// Something under a dead token changed a row.
    DeadTokenSpoke,
    /// A body was started beside another of its task.
    Beside,
    /// An attempt was settled twice, or an ended task moved.
    SecondVerdict,
    /// Silence alone failed an attempt, and nobody had asked for that.
    SilenceKilled,
    /// A claim expired before its holder was silent for long enough by our clock.
    ExpiredEarly,
    /// A replay folded to something else.
    FoldDiffers,
    /// A snapshot was taken while its worker could still write.
    KeptTooEarly,
    /// Evidence was refuted that was there, and could have been seen.
    RefutedTruth,
    /// The world was touched for a reason that wasn't on the disk.
    ActedFirst,
}

/// One claim, one dispatch, in the names of the properties.
pub const ONE_CLAIM: &str = "l4: at most one live claim for a task";
/// See [`ONE_CLAIM`].
pub const DISJOINT: &str = "l2: dispatch intervals of a task are disjoint";
/// See [`ONE_CLAIM`].
pub const TOKENS: &str = "l6: tokens never repeat";
/// See [`ONE_CLAIM`].
pub const DELIVERED_ONCE: &str = "l16: an assignment is delivered at most once";
/// See [`ONE_CLAIM`].
pub const FENCED: &str = "l7: nothing said under a dead token changes a row";
/// See [`ONE_CLAIM`].
pub const ALONE: &str = "j6: a body never runs beside another of its task";
/// See [`ONE_CLAIM`].
pub const EXPLAINED: &str = "j6: no crash of the supervisor costs an execution";
/// See [`ONE_CLAIM`].
pub const TRUE: &str = "law 2: completed only on evidence that holds";
/// See [`ONE_CLAIM`].
pub const FINAL: &str = "l3: the first verdict is final";
/// See [`ONE_CLAIM`].
pub const PATIENT: &str = "l10: silence alone fails nothing under `ask`";
/// See [`ONE_CLAIM`].
pub const OUR_CLOCK: &str = "l17: a claim expires only after a silence that we lived through";
/// See [`ONE_CLAIM`].
pub const FOLDS: &str = "j4: the journal folds to what was decided on";
/// See [`ONE_CLAIM`].
pub const ONE_SESSION: &str = "l21: an attempt has at most one session";
/// See [`ONE_CLAIM`].
pub const KEPT: &str = "r2: what is recorded as kept is kept";
/// See [`ONE_CLAIM`].
pub const SEEN: &str = "e5: nothing is refuted that is there and could be seen";
/// See [`ONE_CLAIM`].
pub const CAN_END: &str = "d1: every run can still end";
/// See [`ONE_CLAIM`].
pub const ITERATES: &str = "d3: an iteration follows one that finished without its condition";
/// See [`ONE_CLAIM`].
pub const LOOPS: &str = "d3: a loop ends as its last iteration tells";
/// See [`ONE_CLAIM`].
pub const CHOOSES: &str = "d4: only the chosen branch starts, the other is pruned";

/// See [`ONE_CLAIM`].
pub const RECORDED: &str = "law 1: recorded, then done";

/// Everything that must hold of `plan`.
pub fn properties(plan: &Plan) -> Vec<Property<Machine>> {
    let mut all = vec![
        Property::always(ONE_CLAIM, |_, state: &State| most(state, |worker| worker.token_live) <= 1),
        Property::always(DISJOINT, |_, state: &State| {
            most(state, |worker| worker.dispatched_at.is_some() && worker.token_live && !worker.settled) <= 1
        }),
        Property::always(TOKENS, |_, state: &State| !state.broke(Law::TokenTwice)),
        Property::always(DELIVERED_ONCE, |_, state: &State| state.world.iter().all(|w| w.deliveries <= 1)),
        Property::always(FENCED, |_, state: &State| !state.broke(Law::DeadTokenSpoke)),
        Property::always(ALONE, |_, state: &State| !state.broke(Law::Beside)),
        Property::always(EXPLAINED, explained),
        Property::always(TRUE, truthful),
        Property::always(FINAL, |_, state: &State| !state.broke(Law::SecondVerdict)),
        Property::always(PATIENT, |_, state: &State| !state.broke(Law::SilenceKilled)),
        Property::always(OUR_CLOCK, |_, state: &State| !state.broke(Law::ExpiredEarly)),
        Property::always(FOLDS, |_, state: &State| !state.broke(Law::FoldDiffers)),
        Property::always(ONE_SESSION, |_, state: &State| {
            state.world.iter().all(|worker| worker.sessions <= 1)
        }),
        Property::always(KEPT, |_, state: &State| kept(state) && !state.broke(Law::KeptTooEarly)),
        Property::always(SEEN, |_, state: &State| !state.broke(Law::RefutedTruth)),
        Property::always(RECORDED, |_, state: &State| !state.broke(Law::ActedFirst)),
        Property::always(CAN_END, Machine::can_end),
        Property::sometimes("every task completes", |_, state: &State| done(state)),
    ];
    match plan.shape {
        Shape::Plain => {}
        Shape::Loop => {
            all.push(Property::always(ITERATES, iterates));
            all.push(Property::always(LOOPS, loops));
            all.push(Property::sometimes("a loop ends by its second iteration", |_, state: &State| {
                state.engine.state().tasks.len() == 3 && done(state)
            }));
            all.push(Property::sometimes("a loop ends by its cap", |_, state: &State| {
                let reason = &state.engine.state().tasks[0].reason;
                reason.starts_with("loop_cap")
            }));
        }
        Shape::Choice => {
            all.push(Property::always(CHOOSES, chooses));
            all.push(Property::sometimes("the other branch is chosen", |_, state: &State| {
                state.engine.state().tasks[2].phase == TaskPhase::Completed
            }));
        }
    }
    // Such a check proves nothing where what it is about never happens.
    if plan.budget.crashes > 0 {
        all.push(Property::sometimes(
            "a worker outlives its supervisor and completes",
            |_, state: &State| {
                let one_run = state.world.iter().all(|worker| worker.executions == 1);
                state.life > 1 && state.world.len() == at_work(state) && one_run && done(state)
            },
        ));
    }
    if plan.retries > 0 && plan.budget.excuses() > 0 {
        all.push(Property::sometimes("a later attempt completes", |_, state: &State| {
            state.engine.state().tasks.iter().any(|t| t.phase == TaskPhase::Completed && t.attempt > 1)
        }));
    }
    if plan.budget.silences > 0 && plan.budget.clock >= 2 {
        all.push(Property::sometimes("a claim expires and is renewed, or waits", |_, state: &State| {
            state.engine.state().workers.values().any(|worker| worker.expired && worker.token_live)
                || plan_retries_lost(state)
        }));
    }
    all
}

fn plan_retries_lost(state: &State) -> bool {
    state.engine.state().workflow().heartbeat.on_lost != OnLost::Ask
}

fn done(state: &State) -> bool {
    let well = |phase, by_design| match phase {
        TaskPhase::Completed => true,
        TaskPhase::Skipped => by_design,
        _ => false,
    };
    state.engine.state().tasks.iter().all(|task| well(task.phase, task.by_design))
}

/// How many tasks a worker was, or will be, needed for.
fn at_work(state: &State) -> usize {
    let run = state.engine.state();
    let works =
        |task: &usize| run.tasks[*task].phase != TaskPhase::Skipped && !run.planned(*task).kind.is_control();
    (0..run.tasks.len()).filter(works).count()
}

/// What a task's last attempt really did.
fn did(state: &State, task: usize) -> Option<bool> {
    let attempt = state.engine.state().tasks[task].attempt;
    state.worker((task, attempt)).map(|worker| worker.artifact)
}

/// The iterations stand behind the loop, in their order.
fn iterates(_: &Machine, state: &State) -> bool {
    let tasks = &state.engine.state().tasks;
    let finished = |task: usize| tasks[task].phase == TaskPhase::Completed;
    // An iteration that nobody could see counts as one without its condition.
    let unseen = |task| state.world.iter().any(|worker| worker.task == task && worker.murky > 1);
    let unmet = |task| did(state, task) == Some(false) || unseen(task);
    tasks.len() <= 3 && (2..tasks.len()).all(|task| finished(task - 1) && unmet(task - 1))
}

fn loops(_: &Machine, state: &State) -> bool {
    let tasks = &state.engine.state().tasks;
    let last = tasks.len() - 1;
    let finished = tasks[last].phase == TaskPhase::Completed;
    match tasks[0].phase {
        TaskPhase::Completed => finished && did(state, last) == Some(true),
        TaskPhase::Failed => tasks[last].phase.is_terminal() && (!finished || tasks.len() == 3),
        _ => true,
    }
}

fn chooses(_: &Machine, state: &State) -> bool {
    let tasks = &state.engine.state().tasks;
    let out = |task: usize| {
        let began = state.world.iter().any(|worker| worker.task == task);
        let pruned = matches!(tasks[task].phase, TaskPhase::Pending | TaskPhase::Skipped);
        let by_design = tasks[task].phase != TaskPhase::Skipped || tasks[task].by_design;
        !began && tasks[task].attempt == 0 && pruned && by_design
    };
    match (tasks[0].phase, did(state, 0)) {
        (TaskPhase::Completed, Some(true)) => out(2),
        (TaskPhase::Completed, Some(false)) => out(1),
        _ => tasks.iter().skip(1).all(|task| task.attempt == 0),
    }
}

/// The most workers of any one task of which `is` holds.
fn most(state: &State, is: fn(&ilchul::engine::state::WorkerState) -> bool) -> usize {
    let run = state.engine.state();
    let of = |task| run.workers.values().filter(|worker| worker.task == task && is(worker)).count();
    (0..run.tasks.len()).map(of).max().unwrap_or(0)
}

/// Every start of a body beyond a task's first is owed to a fault of the world.
fn explained(machine: &Machine, state: &State) -> bool {
    let plan = &machine.plan;
    let timeouts = if plan.timeout < 100 { plan.budget.clock - state.left.clock } else { 0 };
    let excuses = plan.budget.excuses() - state.left.excuses() + timeouts;
    let runs = |task| -> u8 {
        state.world.iter().filter(|worker| worker.task == task).map(|worker| worker.executions).sum()
    };
    (0..state.engine.state().tasks.len()).all(|task| runs(task) <= 1 + excuses)
}

fn truthful(_: &Machine, state: &State) -> bool {
    let run = state.engine.state();
    // A condition that isn't met, and a label that the truth wouldn't choose, complete a task too;
    // what they lead to has laws of its own.
    let shown = |index: usize| {
        let planned = run.planned(index);
        planned.required() > 0 && planned.branches.is_empty() && !planned.kind.is_control()
    };
    run.tasks.iter().enumerate().filter(|(index, _)| shown(*index)).all(|(index, task)| {
        let there = || state.worker((index, task.attempt)).is_some_and(|worker| worker.artifact);
        task.phase != TaskPhase::Completed || there()
    })
}

fn kept(state: &State) -> bool {
    state.engine.state().workers.values().all(|row| {
        let there = || state.worker((row.task, row.attempt)).is_some_and(|worker| worker.kept);
        !matches!(row.captured, Some(Some(_))) || there()
    })
}

/// Holds what was just decided against the world and against what was before.
pub fn audit(state: &mut State, plan: &Plan, before: &Engine, events: &[Event]) {
    let old = before.state().tasks.iter();
    let moved = old.zip(&state.engine.state().tasks).any(|(old, new)| {
        // Nobody asks for a `retry` here.
        old.phase.is_terminal() && new.phase != old.phase
    });
    if moved {
        state.breaks(Law::SecondVerdict);
    }
    // The next attempt may be claimed by the same input.
    let mut attempts: Vec<u32> = before.state().tasks.iter().map(|task| task.attempt).collect();
    for event in events {
        match event {
            Event::Worker(event) => {
                if let WorkerStep::Provisioning { token, .. } = &event.step
                    && *token <= state.highest
                {
                    state.breaks(Law::TokenTwice);
                }
            }
            Event::Claim(event) if event.step == ClaimStep::Expired => {
                let heard = state.world.iter().find(|worker| *worker.id == *event.worker);
                if heard.is_some_and(|worker| worker.heard + LOST_STEPS > state.now) {
                    state.breaks(Law::ExpiredEarly);
                }
            }
            Event::Task(event) => {
                let Some(index) = state.engine.state().task_index(&event.task) else { continue };
                // It may have been made by the same input.
                attempts.resize(attempts.len().max(index + 1), 0);
                if let TaskStep::Claimed { attempt, .. } = &event.step {
                    attempts[index] = *attempt;
                }
                audit_task(state, plan, event, (index, attempts[index]));
            }
            Event::Run(_) | Event::Claim(_) | Event::Report(_) | Event::Evidence(_) | Event::Ignored(_) => {}
        }
    }
}

/// One step of a task, in the attempt that it was in then.
fn audit_task(state: &mut State, plan: &Plan, event: &TaskEvent, (index, attempt): Whom) {
    let (step, reason) = (&event.step, &event.reason);
    let settles = match step {
        TaskStep::Worked
        | TaskStep::WentPartial
        | TaskStep::AttemptFailed { .. }
        | TaskStep::Recovered { .. }
        | TaskStep::Requeued
        | TaskStep::LaunchFailed { .. }
        | TaskStep::HostFailed { .. }
        | TaskStep::RateLimited { .. }
        | TaskStep::DecidedSkip
        | TaskStep::DecidedAccept => true,
        TaskStep::NeedsMet
        | TaskStep::NeedsImpossible { .. }
        | TaskStep::Deferred { .. }
        | TaskStep::Denied { .. }
        | TaskStep::Opened
        | TaskStep::Asked
        | TaskStep::Claimed { .. }
        | TaskStep::Acknowledged
        | TaskStep::Blocked
        | TaskStep::Unblocked
        | TaskStep::Answered { .. }
        | TaskStep::Verified { .. }
        | TaskStep::Refuted
        | TaskStep::Repaired { .. }
        | TaskStep::Cancelled
        | TaskStep::Reopened
        | TaskStep::Rearmed
        | TaskStep::Replanned
        | TaskStep::Withdrawn => false,
    };
    let Some(worker) = state.worker_mut((index, attempt)) else { return };
    let (lives, there, murky) = (worker.shim == Shim::Lives, worker.artifact, worker.murky);
    worker.verdicts += u8::from(settles);
    let twice = worker.verdicts > 1;
    if twice {
        state.breaks(Law::SecondVerdict);
    }
    let fails = matches!(step, TaskStep::AttemptFailed { .. } | TaskStep::Recovered { .. });
    if fails && lives && plan.on_lost == OnLost::Ask && !reason.starts_with("timeout") {
        state.breaks(Law::SilenceKilled);
    }
    if matches!(step, TaskStep::Refuted) && there && murky < 2 {
        state.breaks(Law::RefutedTruth);
    }
}
