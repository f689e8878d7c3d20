//! The gate: whether a ready task may be claimed now, later, or never, and which stage says so.
//!
//! Permanent answers come first, in the order of law D8, so that none of them is hidden behind
//! one that time would change. A denial is journaled, and ends the task; a wait for tokens or
//! money is journaled once, in words that stay the same while it lasts. All other waits are
//! derived each time they are asked for: the ten-thousandth ready task of a wide graph costs
//! nothing until a place is free. It leaves out the needs (`ready.rs`), and which of several
//! tasks comes first (`order.rs`).

use super::budget::{self, Channel};
use super::halt::Halt;
use super::limit;
use super::moment::Moment;
use super::ready;
use super::state::RunState;

/// Where the gate stopped a task. In the order in which they are asked: that the whole run was
/// stopped, those of law D8, and what keeps a single task for a while just before the places
/// that all share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// `limits.wall`.
    Wall,
    /// `limits.failures`.
    Breaker,
    /// Whether what asks for it may be trusted.
    Trust,
    /// Whether there is anything that could do it.
    Capability,
    /// `limits.tasks`.
    Tasks,
    /// `limits.attempts`.
    Attempts,
    /// `limits.depth`.
    Depth,
    /// Tokens and money.
    Budget,
    /// A person's word before it starts.
    Approval,
    /// What an earlier attempt left: its session that ends, its snapshot, a stranger that lives.
    Earlier,
    /// What its agent's provider gives.
    Rate,
    /// What the host can give.
    Host,
    /// `limits.workers`.
    Workers,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::Wall,
        Self::Breaker,
        Self::Trust,
        Self::Capability,
        Self::Tasks,
        Self::Attempts,
        Self::Depth,
        Self::Budget,
        Self::Approval,
        Self::Earlier,
        Self::Rate,
        Self::Host,
        Self::Workers,
    ];

    /// The word that users see.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Breaker => "breaker",
            Self::Trust => "trust",
            Self::Capability => "capability",
            Self::Tasks => "tasks",
            Self::Attempts => "attempts",
            Self::Depth => "depth",
            Self::Budget => "budget",
            Self::Approval => "approval",
            Self::Earlier => "earlier",
            Self::Rate => "rate",
            Self::Host => "host",
            Self::Workers => "workers",
        }
    }
}

/// What the gate says of one ready task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is claimed.
    Allow,
    /// Never: the task fails without an attempt.
    Deny {
        /// Who says so.
        stage: Stage,
        /// Why, as a part of a sentence.
        reason: String,
    },
    /// Once a person says so; nobody holds a place meanwhile.
    Approve {
        /// What they are asked.
        message: String,
    },
    /// Not before something else has happened.
    Defer {
        /// Who says so.
        stage: Stage,
        /// What it waits for, as a noun.
        reason: String,
    },
    /// Not before a moment: no attempt is spent and no place is held.
    Limited {
        /// Until when.
        until: Moment,
        /// Who says so.
        stage: Stage,
        /// What it waits for, as a noun.
        reason: String,
    },
}

impl Verdict {
    /// The word that users see.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny { .. } => "deny",
            Self::Approve { .. } => "approve",
            Self::Defer { .. } => "defer",
            Self::Limited { .. } => "limited",
        }
    }

    /// Who says so, where anybody stops it.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Allow => None,
            Self::Approve { .. } => Some(Stage::Approval),
            Self::Deny { stage, .. } | Self::Defer { stage, .. } | Self::Limited { stage, .. } => {
                Some(*stage)
            }
        }
    }

    /// Why, where anybody stops it.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Allow => "",
            Self::Approve { message } => message,
            Self::Deny { reason, .. } | Self::Defer { reason, .. } | Self::Limited { reason, .. } => reason,
        }
    }
}

/// The reason that a denied task is journaled with.
pub(super) fn denial_words(stage: Stage, reason: &str) -> String {
    format!("denied: {}: {reason}", stage.word())
}

/// Stage and words of such a reason.
#[must_use]
pub fn denied(reason: &str) -> Option<(&str, &str)> {
    reason.strip_prefix("denied: ")?.split_once(": ")
}

/// The reason that a deferred task is journaled with: the same words while it waits for the same.
pub(super) fn deferral_words(stage: Stage, reason: &str) -> String {
    format!("{DEFERRED}{}: {reason}", stage.word())
}

/// What such reasons begin with.
pub const DEFERRED: &str = "deferred: ";

/// What the gate says of a ready task.
#[must_use]
pub fn verdict(state: &RunState, now: Moment, task: usize) -> Verdict {
    let channel = budget::lacks(state, task).first().copied();
    denial(state, task)
        .or_else(|| channel.map(budget_wait))
        .or_else(|| own_wait(state, now, task))
        .or_else(|| no_place(state))
        .or_else(|| its_turn(state, task))
        .unwrap_or(Verdict::Allow)
}

/// Somebody before it waits for a channel that it needs as well: that was journaled.
fn its_turn(state: &RunState, task: usize) -> Option<Verdict> {
    let channels = Channel::ALL.into_iter().map(budget_wait);
    channels.into_iter().find(|wait| state.tasks[task].reason == deferral_words(Stage::Budget, wait.reason()))
}

fn budget_wait(channel: Channel) -> Verdict {
    let reason = format!("{} that other attempts have reserved", channel.word());
    Verdict::Defer { stage: Stage::Budget, reason }
}

/// The first ready task about which something is to be journaled, with what the gate says of it.
pub(super) fn next(state: &RunState, now: Moment) -> Option<(usize, Verdict)> {
    if may_deny(state) {
        let no = |task| denial(state, task).map(|verdict| (task, verdict));
        if let Some(denied) = state.ready.iter().find_map(no) {
            return Some(denied);
        }
    }
    if no_place(state).is_some() {
        return None;
    }
    let mut waited_for = Vec::new();
    state.ready.iter().filter(|task| own_wait(state, now, *task).is_none()).find_map(|task| {
        let Some(wait) = its_budget(state, task, &mut waited_for) else {
            return Some((task, Verdict::Allow));
        };
        let known = state.tasks[task].reason == deferral_words(Stage::Budget, wait.reason());
        (!known).then_some((task, wait))
    })
}

/// Whether a task waits for its share. Nobody overtakes another who waits for a channel that
/// both need: else a task with a high ceiling would wait for as long as there are small ones.
fn its_budget(state: &RunState, task: usize, waited_for: &mut Vec<Channel>) -> Option<Verdict> {
    let mut lacks = budget::lacks(state, task);
    lacks.extend(waited_for.iter().filter(|channel| budget::needs(state, task, **channel)));
    waited_for.extend(&lacks);
    waited_for.sort_unstable();
    waited_for.dedup();
    lacks.first().copied().map(budget_wait)
}

/// Whether any task of this run can be denied now: else none needs to be asked about while
/// there is no place for it.
fn may_deny(state: &RunState) -> bool {
    let limits = &state.workflow().limits;
    state.halted.is_some()
        || attempts_used_up(state).is_some()
        || over_tasks(state)
        || too_deep(deepest(state), limits.depth).is_some()
        || state.ledger.is_capped()
}

/// What no time and no other task can change.
fn denial(state: &RunState, task: usize) -> Option<Verdict> {
    let limits = &state.workflow().limits;
    let deny = |stage, reason| Some(Verdict::Deny { stage, reason });
    if let Some(halted) = &state.halted {
        let stage = match halted.by {
            Halt::Wall => Stage::Wall,
            Halt::Breaker => Stage::Breaker,
        };
        return deny(stage, halted.reason.clone());
    }
    if over_tasks(state) && place(state, task) >= limits.tasks.unwrap_or(u32::MAX) {
        let most = limits.tasks.unwrap_or_default();
        return deny(Stage::Tasks, format!("the run has room for {most} tasks, and this is one more"));
    }
    if let Some(limit) = attempts_used_up(state) {
        return deny(Stage::Attempts, format!("all {limit} attempts of the run are used up"));
    }
    if let Some(depth) = too_deep(depth(state, task), limits.depth) {
        return deny(Stage::Depth, depth);
    }
    deny(Stage::Budget, budget::never(state, task)?)
}

/// Whether the plan holds more than `limits.tasks`; a file that does is refused before it runs.
fn over_tasks(state: &RunState) -> bool {
    state
        .workflow()
        .limits
        .tasks
        .is_some_and(|most| state.tasks.len() > usize::try_from(most).unwrap_or(usize::MAX))
}

/// How many tasks were planned before this one and still are.
fn place(state: &RunState, task: usize) -> u32 {
    let before = state.tasks[..task].iter().filter(|other| !other.removed).count();
    u32::try_from(before).unwrap_or(u32::MAX)
}

fn attempts_used_up(state: &RunState) -> Option<u32> {
    let limit = state.workflow().limits.attempts?;
    (state.attempts_spent >= usize::try_from(limit).unwrap_or(usize::MAX)).then_some(limit)
}

/// How many tasks submitted it, one through the other. What a control task made is as deep as
/// that one.
pub fn depth(state: &RunState, task: usize) -> u32 {
    let (mut depth, mut inner) = (0, task);
    // A maker stands before what it made, so this ends.
    while let Some(maker) = state.planned(inner).parent.as_deref().and_then(|id| state.task_index(id)) {
        depth += u32::from(!state.planned(maker).kind.is_control());
        inner = maker;
    }
    depth
}

/// The depth of the deepest task.
fn deepest(state: &RunState) -> u32 {
    let made = (0..state.tasks.len()).filter(|task| state.planned(*task).parent.is_some());
    made.map(|task| depth(state, task)).max().unwrap_or(0)
}

pub(super) fn too_deep(depth: u32, limit: Option<u32>) -> Option<String> {
    let limit = limit.filter(|limit| depth > *limit)?;
    Some(format!("it was submitted at depth {depth}, and at most {limit} is allowed"))
}

/// What keeps this task alone, for a while.
fn own_wait(state: &RunState, now: Moment, task: usize) -> Option<Verdict> {
    let earlier = |reason: String| Some(Verdict::Defer { stage: Stage::Earlier, reason });
    if ready::awaits_end(state, task) {
        return earlier("the end of its last attempt's session".to_owned());
    }
    if ready::awaits_base(state, task) {
        return earlier("the last snapshot of the task that it starts from".to_owned());
    }
    if let Some(found) = state.held_by(task) {
        let known = state.workers.get(found).is_some_and(|worker| worker.phase.is_live());
        let what = if known { "couldn't be ended" } else { "was found and isn't in this journal" };
        return earlier(format!("`{found}`, which {what}, to end"));
    }
    if let Some((until, reason)) = limit::of(state, task).filter(|(until, _)| *until > now) {
        return Some(Verdict::Limited { until, stage: Stage::Rate, reason });
    }
    let until = state.tasks[task].defer_until.filter(|until| *until > now)?;
    let reason = "the host: its last launch failed there".to_owned();
    Some(Verdict::Limited { until, stage: Stage::Host, reason })
}

/// What keeps all of them: it is never journaled, because the end of any worker changes it.
fn no_place(state: &RunState) -> Option<Verdict> {
    let (live, limit) = (state.live_count(), state.started.workers);
    let reason = || format!("a free worker: {live} of {limit} are in use");
    (!state.has_room()).then(|| Verdict::Defer { stage: Stage::Workers, reason: reason() })
}
