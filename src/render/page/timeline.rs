//! Who was at what, when: spans on the run's own line of time, from its events alone.
//!
//! A wall clock that jumped moves nothing here. It leaves out drawing and words.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::event::{Event, RunEvent, TaskStep};
use crate::engine::moment::{Moment, Stamp};
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{RunView, TaskView};

/// What a task was at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Could have started, and waited for a place, a budget or a person.
    Ready,
    /// Its worker was being started.
    Starting,
    /// Being worked on; of a control task: its own tasks were.
    Working,
    /// Its worker waited for an answer.
    Blocked,
    /// Its evidence was checked, or a person or a reviewer was asked.
    Checking,
    /// Refuted, before what follows from it.
    Refuted,
}

impl Stage {
    /// All of them, as the legend has them.
    pub(super) const ALL: [Self; 6] =
        [Self::Ready, Self::Starting, Self::Working, Self::Blocked, Self::Checking, Self::Refuted];

    /// What it is called.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready, waiting to start",
            Self::Starting => "starting",
            Self::Working => "working",
            Self::Blocked => "blocked",
            Self::Checking => "being checked",
            Self::Refuted => "refuted",
        }
    }

    /// The style sheet's name.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Working => "working",
            Self::Blocked => "blocked",
            Self::Checking => "checking",
            Self::Refuted => "refuted",
        }
    }

    fn of(phase: TaskPhase) -> Option<Self> {
        match phase {
            TaskPhase::Ready => Some(Self::Ready),
            TaskPhase::Claimed => Some(Self::Starting),
            TaskPhase::InProgress => Some(Self::Working),
            TaskPhase::Blocked => Some(Self::Blocked),
            TaskPhase::Verifying => Some(Self::Checking),
            TaskPhase::RepairRequired => Some(Self::Refuted),
            TaskPhase::Pending
            | TaskPhase::Completed
            | TaskPhase::Partial
            | TaskPhase::Failed
            | TaskPhase::Skipped
            | TaskPhase::Cancelled => None,
        }
    }
}

/// A stretch of time in one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// What.
    pub(super) stage: Stage,
    /// The attempt; 0 before the first.
    pub(super) attempt: u32,
    /// Its beginning.
    pub(super) from: Moment,
    /// Its end; of one that goes on, the last that is known.
    pub(super) to: Moment,
}

/// One task's line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lane {
    /// In order; they don't overlap.
    pub(super) spans: Vec<Span>,
    /// When it was over; none while it isn't.
    pub(super) ended: Option<Moment>,
    /// The attempt that goes on.
    pub(super) attempt: u32,
    /// The stage that goes on, and since when.
    pub(super) open: Option<(Stage, Moment)>,
}

impl Lane {
    /// When it could have begun.
    pub(super) fn from(&self) -> Option<Moment> {
        self.spans.first().map(|span| span.from)
    }

    /// The last moment of it that is known.
    pub(super) fn to(&self) -> Option<Moment> {
        self.spans.last().map(|span| span.to)
    }

    /// When it was first taken up.
    pub(super) fn begun(&self) -> Option<Moment> {
        self.spans.iter().find(|span| span.stage != Stage::Ready).map(|span| span.from)
    }

    fn turn(&mut self, at: Moment, phase: TaskPhase) {
        let next = Stage::of(phase);
        if self.open.map(|(stage, _)| stage) != next || next == Some(Stage::Starting) {
            self.close(at);
            self.open = next.map(|stage| (stage, at));
        }
        self.ended = phase.is_terminal().then_some(at);
    }

    fn close(&mut self, at: Moment) {
        if let Some((stage, from)) = self.open.take() {
            let attempt = if stage == Stage::Ready { 0 } else { self.attempt };
            self.spans.push(Span { stage, attempt, from, to: at });
        }
    }
}

/// The whole run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// When it started.
    pub(super) from: Moment,
    /// Its last event.
    pub(super) to: Moment,
    /// By task.
    pub(super) lanes: BTreeMap<String, Lane>,
    /// When somebody supervised it, one stretch for each life.
    pub(super) lives: Vec<(Moment, Moment)>,
}

impl Timeline {
    /// From a run's events, oldest first.
    pub fn gather<'e>(events: impl Iterator<Item = (Stamp, &'e Event)>) -> Self {
        let mut line = Self::default();
        let mut life: Option<Moment> = None;
        for (Stamp { moment: at, .. }, event) in events {
            match event {
                Event::Run(RunEvent::Started(_)) => {
                    (line.from, line.to, life) = (at, at, Some(at));
                }
                Event::Run(RunEvent::Resumed { .. }) => {
                    // One that died said nothing of it: what is known of it ends with its last event.
                    line.lives.extend(life.map(|from| (from, line.to)));
                    life = Some(at);
                }
                Event::Run(RunEvent::Interrupted { .. } | RunEvent::Ended { .. }) => {
                    line.lives.extend(life.take().map(|from| (from, at)));
                }
                Event::Task(task) => {
                    let lane = line.lanes.entry(task.task.clone()).or_default();
                    let kind = event.kind();
                    let word = kind.strip_prefix("task.").unwrap_or_default();
                    if let Some(phase) = TaskPhase::ALL.into_iter().find(|known| known.word() == word) {
                        lane.turn(at, phase);
                    }
                    if let TaskStep::Claimed { attempt, .. } = &task.step {
                        lane.attempt = *attempt;
                    }
                }
                Event::Run(
                    RunEvent::Stopping { .. }
                    | RunEvent::Halted(_)
                    | RunEvent::Reopened { .. }
                    | RunEvent::Adopted(_)
                    | RunEvent::Extended(_)
                    | RunEvent::Drifted(_),
                )
                | Event::Worker(_)
                | Event::Claim(_)
                | Event::Report(_)
                | Event::Evidence(_)
                | Event::Ignored(_) => {}
            }
            line.to = line.to.max(at);
        }
        line.lives.extend(life.map(|from| (from, line.to)));
        let now = line.to;
        line.lanes.values_mut().for_each(|lane| lane.close(now));
        line
    }

    /// Draws what goes on so much further than its last event: somebody supervises, and nothing
    /// was to be told since.
    pub(super) fn go_on(&mut self, span: Duration) {
        let (last, now) = (self.to, self.to.after(span));
        let open = self.lanes.values_mut().filter(|lane| lane.ended.is_none());
        let ends = open.filter_map(|lane| lane.spans.last_mut().map(|span| &mut span.to));
        let ends = ends.chain(self.lives.last_mut().map(|(_, to)| to));
        ends.filter(|to| **to == last).for_each(|to| *to = now);
        self.to = now;
    }

    /// How long the run took, so far.
    pub(super) fn millis(&self) -> u64 {
        millis(self.from, self.to)
    }

    /// The chain of tasks that the run's length comes from, first to last: from what ended last
    /// back to what each of them had waited for longest.
    pub(super) fn critical<'v>(&self, view: &'v RunView) -> Vec<&'v TaskView> {
        let order: BTreeMap<&str, (usize, &TaskView)> =
            view.tasks.iter().enumerate().map(|(place, task)| (task.id.as_str(), (place, task))).collect();
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for task in view.tasks.iter().filter(|task| !task.removed) {
            if let Some(parent) = &task.parent {
                children.entry(parent).or_default().push(&task.id);
            }
        }
        let last = |ids: &mut dyn Iterator<Item = &str>, by: Moment| {
            let found = ids.filter_map(|id| {
                let (place, task) = *order.get(id)?;
                let to = self.lanes.get(id)?.to().filter(|to| *to <= by)?;
                // A maker ends with the last of its own; that one is found from the maker.
                Some((to, task.parent.is_none(), std::cmp::Reverse(place), task))
            });
            found.max_by_key(|(to, is_top, place, _)| (*to, *is_top, *place)).map(|(.., task)| task)
        };
        let mut seen = BTreeSet::new();
        let mut path = Vec::new();
        let mut next = last(&mut order.keys().copied(), self.to);
        while let Some(task) = next.filter(|task| seen.insert(task.id.as_str())) {
            path.push(task);
            let lane = self.lanes.get(&task.id);
            let own = children.get(task.id.as_str()).filter(|_| super::super::control::is_control(task));
            next = match (lane, own) {
                (Some(lane), Some(own)) => last(&mut own.iter().copied(), lane.to().unwrap_or(self.to)),
                (Some(lane), None) => {
                    let needs = task.needs.iter().chain(&task.reviews).map(String::as_str);
                    let matches = earlier_matches(task, &children);
                    last(&mut needs.chain(matches), lane.from().unwrap_or(self.from))
                }
                (None, _) => None,
            };
        }
        path.reverse();
        path
    }
}

/// The matches of a tournament that were made before this one: it names the two whom it judges,
/// and waited for the match that sent one of them on.
fn earlier_matches<'v>(
    task: &'v TaskView,
    children: &BTreeMap<&'v str, Vec<&'v str>>,
) -> impl Iterator<Item = &'v str> {
    let family = task.parent.as_deref().and_then(|parent| Some((parent, children.get(parent)?)));
    let is_match = |parent: &str, id: &str| {
        id.strip_prefix(parent).is_some_and(|rest| rest.strip_prefix("-j").is_some_and(is_number))
    };
    let family = family.filter(|(parent, _)| is_match(parent, &task.id));
    let matches = family.map_or_else(Vec::new, |(parent, all)| {
        all.iter().copied().take_while(|id| *id != task.id).filter(|id| is_match(parent, id)).collect()
    });
    matches.into_iter()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Between two moments.
pub(super) fn millis(from: Moment, to: Moment) -> u64 {
    u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX)
}
