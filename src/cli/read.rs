//! What the reading commands share: the run they mean, folded once; names; following.
//!
//! Nothing here writes: a command that only looks makes no home and no journal. It
//! leaves out how anything looks.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use ilchul_substrate::Mark as SessionMark;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Global;
use super::error::CliError;
use super::output::{self, Output};
use super::place::{self, Place};
use crate::engine::Engine;
use crate::engine::state::RunState;
use crate::engine::view::{RunView, TaskView, WorkerView};
use crate::engine::worker_table::WorkerPhase;
use crate::journal::{Journal, JournalError, Mark, Recorded, lock};
use crate::protocol::{self, Heartbeat};
use crate::render::table::Screen;
use crate::render::{Beside, Host};
use crate::supervisor::SupervisorError;
use crate::supervisor::clock::wall_ms;
use crate::supervisor::close;
use crate::supervisor::fold::{self, Folded, Proof};
use crate::workflow::SessionKind;

/// Most edits between a mistaken name and the one that is offered.
const EDITS: usize = 3;

/// Which run a command is about.
#[derive(Debug, Args, Clone)]
pub struct OfRun {
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
}

/// One run, read once.
#[derive(Debug)]
pub struct Read {
    /// The repository and its home.
    pub place: Place,
    /// What can be seen of the run.
    pub view: RunView,
    /// A supervisor holds the home now, and drives this run.
    pub held: bool,
    /// Reads on from here.
    pub follower: Follower,
}

/// The rows of one run that come after those that were read.
#[derive(Debug)]
pub struct Follower {
    journal: Journal,
    run: String,
    mark: Mark,
}

/// The place and its journal; `None` where there has been no run at all.
///
/// # Errors
/// When there is no repository, or the journal is there and can't be read.
pub fn journal(global: &Global) -> Result<Option<(Place, Journal)>, CliError> {
    let place = place::find(global.home.as_deref())?;
    match Journal::open_read(&place.home) {
        Ok(journal) => {
            if let Some(found) = journal.newer() {
                output::talk(&format!(
                    "The journal is a later ilchul's (its schema is {found}): it is read as far as this one can, and never written."
                ));
            }
            Ok(Some((place, journal)))
        }
        Err(JournalError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The place, its journal, and the id of the run that is meant.
///
/// # Errors
/// `no_runs` where there has been none, or when there is no such run.
pub fn target(global: &Global, of: &OfRun) -> Result<(Place, Journal, String), CliError> {
    let (place, journal) = journal(global)?.ok_or_else(no_runs)?;
    let run = match place.run_id(&journal, of.run.as_deref()) {
        Ok(run) => run,
        Err(error) if error.code == "unknown_run" => {
            let runs = journal.runs()?;
            let near = nearest(of.run.as_deref().unwrap_or_default(), runs.iter().map(|run| run.id.as_str()));
            return Err(error.hint(did_you_mean(near, "Run `ilchul runs` to see them.")));
        }
        Err(error) => return Err(error),
    };
    Ok((place, journal, run))
}

fn no_runs() -> CliError {
    CliError::new("no_runs", "find a run: there has been none here").hint("Run `ilchul up` to start one.")
}

/// Whether a supervisor holds the home now, and drives this run.
///
/// # Errors
/// When the lock can't be looked at: an unreadable lock isn't a free one.
pub fn is_held(place: &Place, run: &str) -> Result<bool, CliError> {
    let holder = lock::held(&place.home.lock())
        .map_err(|error| CliError::new("lock", format!("look at the lock: {error}")))?;
    Ok(holder.is_some_and(|holder| holder.is_none_or(|holder| holder.run.is_empty() || holder.run == run)))
}

impl Read {
    /// Reads the run that is meant.
    ///
    /// # Errors
    /// When there is none, or the journal is damaged.
    pub fn open(global: &Global, of: &OfRun) -> Result<Self, CliError> {
        let (place, journal, run) = target(global, of)?;
        let folded = fold::read(&journal, &place.home, &run, Proof::Since)?;
        let unknown = || CliError::from(SupervisorError::UnknownRun(run.clone()));
        let Folded { engine, mark } = folded.ok_or_else(unknown)?;
        Self::of(place, Follower { journal, run, mark }, engine)
    }

    /// The same for whoever follows it: its machine takes what comes.
    ///
    /// # Errors
    /// As [`Read::open`].
    pub fn open_live(global: &Global, of: &OfRun) -> Result<(Self, Engine), CliError> {
        let (place, journal, run) = target(global, of)?;
        let folded = fold::read(&journal, &place.home, &run, Proof::Since)?;
        let unknown = || CliError::from(SupervisorError::UnknownRun(run.clone()));
        let Folded { engine, mark } = folded.ok_or_else(unknown)?;
        let held = is_held(&place, &run)?;
        let view = RunView::of(engine.state());
        let follower = Follower { journal, run, mark };
        Ok((Self { place, view, held, follower }, engine))
    }

    /// The same, and what `extract` finds in its events before they are folded away.
    ///
    /// # Errors
    /// As [`Read::open`].
    pub fn open_with<T>(
        global: &Global,
        of: &OfRun,
        extract: impl FnOnce(&[Recorded]) -> T,
    ) -> Result<(Self, T), CliError> {
        let (read, extracted, ()) = Self::open_drawn(global, of, extract, |_| ())?;
        Ok((read, extracted))
    }

    /// The same, and what `draw` makes of the state before it becomes a view.
    ///
    /// # Errors
    /// As [`Read::open`].
    pub fn open_drawn<T, D>(
        global: &Global,
        of: &OfRun,
        extract: impl FnOnce(&[Recorded]) -> T,
        draw: impl FnOnce(&RunState) -> D,
    ) -> Result<(Self, T, D), CliError> {
        let (place, journal, run) = target(global, of)?;
        let mut follower = Follower::new(journal, run);
        let recorded = follower.poll()?;
        let extracted = extract(&recorded);
        // The events move into the fold: a large journal isn't copied.
        let engine = Engine::replay(recorded.into_iter().map(|row| (row.at, row.event)))
            .map_err(|corrupt| CliError::from(SupervisorError::Corrupt(corrupt)))?;
        let drawn = draw(engine.state());
        Ok((Self::of(place, follower, engine)?, extracted, drawn))
    }

    fn of(place: Place, follower: Follower, engine: Engine) -> Result<Self, CliError> {
        let state = engine.into_state();
        let held = is_held(&place, &follower.run)?;
        let view = RunView::from_state(state);
        Ok(Self { place, view, held, follower })
    }

    /// What no view holds. Heartbeats are read from mail: of live workers, or of all.
    #[must_use]
    pub fn beside(&self, all: bool) -> Beside {
        let run = &self.view.id;
        let mut beats = BTreeMap::new();
        for worker in self.view.workers.iter().filter(|worker| all || worker.phase.is_live()) {
            if let Some(beat) = self.beat(&worker.id) {
                beats.insert(worker.id.clone(), beat.at);
            }
        }
        let scratch = Some(self.place.home.run(run).join("scratch"));
        let shown = self.view.workers.iter().filter(|worker| all || worker.phase.is_live());
        let hosts = shown.filter_map(|worker| Some((worker.id.clone(), self.host(worker)?))).collect();
        Beside { beats, scratch, gone: self.gone(), closes: BTreeMap::new(), hosts }
    }

    /// Where a cluster runs a worker, or ran it: its job said so in its own folder.
    #[must_use]
    pub fn host(&self, worker: &WorkerView) -> Option<Host> {
        worker.session.as_ref().filter(|place| place.kind == SessionKind::Slurm.word())?;
        let mark = SessionMark::new(&self.view.id, &worker.task, worker.attempt).ok()?;
        let folder = self.place.home.run(&self.view.id).join("slurm").join(mark.to_string());
        Some(Host { node: ilchul_slurm::node(&folder)?, folder })
    }

    /// The workers whose worktree is gone, and what to type to have it back: a look at each.
    #[must_use]
    pub fn gone(&self) -> BTreeMap<String, Vec<String>> {
        let run = &self.view.id;
        let vanished = |worker: &WorkerView| {
            let of = (worker.id.as_str(), worker.workspace.as_ref(), worker.snapshot.as_ref());
            let restore = close::vanished(&self.place.repository, run, of)?;
            Some((worker.id.clone(), restore))
        };
        // A tree that a person was told to remove isn't missed.
        let missed = |worker: &&WorkerView| {
            !matches!(worker.phase, WorkerPhase::CleanupReleased | WorkerPhase::Closed)
        };
        self.view.workers.iter().filter(missed).filter_map(vanished).collect()
    }

    /// A worker's last heartbeat; `None` where it can't be read.
    #[must_use]
    pub fn beat(&self, worker: &str) -> Option<Heartbeat> {
        let mail = self.place.home.mail(&self.view.id, worker);
        let bytes = crate::mail::read_bounded(&mail, protocol::HEARTBEAT).ok()??;
        protocol::parse::<Heartbeat>(&bytes).ok()
    }

    /// The task of this name.
    ///
    /// # Errors
    /// `unknown_task`, with the nearest name.
    pub fn task(&self, name: &str) -> Result<&TaskView, CliError> {
        self.view.task(name).ok_or_else(|| {
            let near = nearest(name, self.view.tasks.iter().map(|task| task.id.as_str()));
            CliError::new(
                "unknown_task",
                format!("find the task `{}` in the run `{}`", name.escape_debug(), self.view.id),
            )
            .hint(did_you_mean(near, "Run `ilchul status` to see its tasks."))
        })
    }

    /// The worker of this name (`<task>.<attempt>`), or a task's: of `attempt`, or its last.
    ///
    /// # Errors
    /// `unknown_task`, `unknown_worker`, or `no_attempt` where there has been none.
    pub fn worker(&self, name: &str, attempt: Option<u32>) -> Result<&WorkerView, CliError> {
        if let Some((task, _)) = name.rsplit_once('.') {
            let found =
                self.view.worker(name).filter(|worker| attempt.is_none_or(|wanted| wanted == worker.attempt));
            return found.ok_or_else(|| {
                let near = nearest(name, self.view.workers.iter().map(|worker| worker.id.as_str()));
                let of_task = self.view.workers.iter().rev().find(|worker| worker.task == task);
                let near = near.or(of_task.map(|worker| worker.id.as_str()));
                let message =
                    format!("find the worker `{}` in the run `{}`", name.escape_debug(), self.view.id);
                CliError::new("unknown_worker", message)
                    .hint(did_you_mean(near, "Run `ilchul workers` to see them."))
            });
        }
        let task = self.task(name)?;
        let attempt = attempt.unwrap_or(task.attempt);
        if let Some(worker) = self.view.worker(&format!("{name}.{attempt}")) {
            return Ok(worker);
        }
        Err(unknown_attempt(task, attempt))
    }
}

/// The error for an attempt that a task hasn't had.
#[must_use]
pub fn unknown_attempt(task: &TaskView, attempt: u32) -> CliError {
    let id = &task.id;
    if task.attempt == 0 {
        return CliError::new(
            "no_attempt",
            format!("find an attempt of `{id}`: there has been none, it is {}", task.phase),
        )
        .hint(format!("Run `ilchul why {id}` to see what it waits for."));
    }
    let last = task.attempt;
    CliError::new("unknown_attempt", format!("find attempt {attempt} of `{id}`: its last one is {last}"))
        .hint(format!("Name one with `--attempt`, from 1 to {last}."))
}

impl Follower {
    /// Reads a run from its beginning.
    #[must_use]
    pub fn new(journal: Journal, run: String) -> Self {
        Self { journal, run, mark: Mark::ROOT }
    }

    /// The rows that were added since the last call: one look-up in an index where there are none.
    ///
    /// # Errors
    /// When the journal can't be read, or a row isn't the one that was written.
    pub fn poll(&mut self) -> Result<Vec<Recorded>, CliError> {
        let (recorded, digest) = self.journal.read_after(&self.run, self.mark.seq, self.mark.digest)?;
        if let Some(last) = recorded.last() {
            self.mark = Mark { seq: last.seq, digest };
        }
        Ok(recorded)
    }

    /// The latest run of this journal, which may be another one by now.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn latest(&self) -> Result<Option<String>, CliError> {
        Ok(self.journal.runs()?.pop().map(|run| run.id))
    }
}

/// Waits a moment between two looks at files that ring no bell for readers.
pub fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Lets time pass between two looks of what follows; `false` once nobody reads stdout any
/// more, though nothing was there to be written.
#[must_use]
pub fn pause_for_reader(span: Duration) -> bool {
    let stdout = std::io::stdout();
    // No event is asked for: the end of a pipe's reader is told regardless.
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    let gone = match poll(&mut watched, Timespec::try_from(span).ok().as_ref()) {
        // A socket, which is what sshd gives, hangs up where a pipe breaks.
        Ok(_) => watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
        Err(_) => false,
    };
    if !gone && !watched[0].revents().is_empty() {
        // A closed descriptor answers at once; the next look must not come sooner for it.
        std::thread::sleep(span);
    }
    !gone
}

/// Where text for people goes, as of now.
#[must_use]
pub fn screen(output: Output) -> Screen {
    let width = output::is_seen().then(output::width);
    Screen { color: output.color, width, now_ms: wall_ms() }
}

/// Writes to stdout; `false` once nobody reads there any more, so that following can end.
#[must_use]
pub fn emit(bytes: &[u8]) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

fn did_you_mean(near: Option<&str>, otherwise: &str) -> String {
    near.map_or_else(|| otherwise.to_owned(), |near| format!("Did you mean `{near}`?"))
}

/// The known name with the fewest edits to the mistaken one, if they are few.
fn nearest<'n>(wanted: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let most = (wanted.chars().count() / 2).clamp(1, EDITS);
    let scored = known.map(|name| (distance(wanted, name), name)).filter(|(edits, _)| *edits <= most);
    scored.min_by_key(|(edits, _)| *edits).map(|(_, name)| name)
}

/// Letters to add, remove or replace between two names. Names are short (slugs, ids).
fn distance(left: &str, right: &str) -> usize {
    if left.len().abs_diff(right.len()) > EDITS {
        return usize::MAX;
    }
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistaken_name_is_met_with_the_nearest_and_never_with_a_far_one() {
        let known = ["build", "fix", "package"];
        assert_eq!(nearest("biuld", known.into_iter()), Some("build"));
        assert_eq!(nearest("pakage", known.into_iter()), Some("package"));
        assert_eq!(nearest("fix2", known.into_iter()), Some("fix"));
        assert_eq!(nearest("deploy", known.into_iter()), None);
        assert_eq!(nearest("x", known.into_iter()), None);
    }

    #[test]
    fn distances_count_edits() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("abc", "abd"), 1);
        assert_eq!(distance("abc", "bc"), 1);
        assert_eq!(distance("ab", "ba"), 2);
    }
}
