//! One life of a supervisor, in a thread of its own, so that a test can watch it, ask it
//! things, and end it as `kill -9` would at a chosen commit.
//!
//! It leaves out what is expected of it.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ilchul_conformance::{PATIENCE, wait_for, wait_until};
use tokio::sync::Notify;

use super::stage::Stage;
use crate::engine::input::{Input, Request};
use crate::engine::state::RunState;
use crate::journal::{Answer, Journal, Recorded};
use crate::supervisor::{End, Listener, Note, Opened, Resumed, open_new, open_old};

/// Where a life is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// After the k-th commit, before anything that follows from it is done.
    BeforeActing(usize),
    /// After the k-th commit and after everything owed was started, whose outcomes are lost.
    AfterActing(usize),
}

/// How a life ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// By itself.
    Ended(End),
    /// It was cut off.
    Cut,
    /// It couldn't go on.
    Failed(String),
}

/// What a life has told so far.
#[derive(Default)]
struct Told {
    state: Option<RunState>,
    notes: Vec<Note>,
    resumed: Vec<Resumed>,
    ticks: usize,
    commits: usize,
}

/// What unwinds a life that is cut off; no panic, so nothing is printed.
struct CutOff;

struct Ear {
    told: Arc<Mutex<Told>>,
    cut: Option<Cut>,
    end: Arc<Notify>,
}

impl Listener for Ear {
    fn committed(&mut self, state: &RunState, _: &[Recorded]) {
        let commits = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.state = Some(state.clone());
            told.commits += 1;
            told.commits
        };
        match self.cut {
            Some(Cut::BeforeActing(k)) if k == commits => std::panic::resume_unwind(Box::new(CutOff)),
            Some(Cut::AfterActing(k)) if k == commits => self.end.notify_one(),
            Some(Cut::BeforeActing(_) | Cut::AfterActing(_)) | None => {}
        }
    }

    fn resumed(&mut self, resumed: &[Resumed]) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).resumed.extend_from_slice(resumed);
    }

    fn note(&mut self, note: &Note) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).notes.push(note.clone());
    }

    fn tick(&mut self, _: &RunState) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).ticks += 1;
    }
}

/// How a life begins.
#[derive(Default)]
pub(super) struct Birth {
    /// The run is there already.
    pub(super) old: bool,
    /// Nobody attends.
    pub(super) unattended: bool,
    /// Where it is cut off.
    pub(super) cut: Option<Cut>,
    /// What it is told before its first turn.
    pub(super) first: Option<Input>,
}

/// A supervisor that lives.
pub(super) struct Life {
    told: Arc<Mutex<Told>>,
    end: Arc<Notify>,
    thread: Option<JoinHandle<Outcome>>,
}

impl Life {
    /// The first life of the stage's run.
    pub(super) fn first(stage: &Stage) -> Self {
        Self::begin(stage, Birth::default())
    }

    /// A further life.
    pub(super) fn next(stage: &Stage) -> Self {
        Self::begin(stage, Birth { old: true, ..Birth::default() })
    }

    pub(super) fn begin(stage: &Stage, birth: Birth) -> Self {
        let (told, end) = (Arc::<Mutex<Told>>::default(), Arc::new(Notify::new()));
        let (world, clock, started) = (stage.world(), stage.clock(), stage.started());
        let (told_there, end_there) = (Arc::clone(&told), Arc::clone(&end));
        let live = move || {
            let ear = Ear { told: told_there, cut: birth.cut, end: Arc::clone(&end_there) };
            let journal = match Journal::open(&world.home) {
                Ok(journal) => journal,
                Err(error) => return Outcome::Failed(error.to_string()),
            };
            let unattended = birth.unattended;
            let opened = Opened { world, journal, clock, listener: Box::new(ear), unattended };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let outcome = runtime.block_on(async {
                let opened = if birth.old { open_old(opened) } else { Ok(open_new(opened, started)) };
                let mut supervisor = match opened {
                    Ok(supervisor) => supervisor,
                    Err(error) => return Outcome::Failed(error.to_string()),
                };
                if let Some(input) = &birth.first {
                    supervisor.tell(input);
                }
                tokio::select! {
                    biased;
                    () = end_there.notified() => Outcome::Cut,
                    end = supervisor.run() => match end {
                        Ok(end) => Outcome::Ended(end),
                        Err(error) => Outcome::Failed(error.to_string()),
                    },
                }
            });
            // What was started goes on, as a git or a session would after a kill.
            runtime.shutdown_background();
            outcome
        };
        let thread = std::thread::spawn(move || match std::panic::catch_unwind(AssertUnwindSafe(live)) {
            Ok(outcome) => outcome,
            Err(panic) if panic.is::<CutOff>() => Outcome::Cut,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        Self { told, end, thread: Some(thread) }
    }

    fn told<T>(&self, look: impl FnOnce(&Told) -> T) -> T {
        look(&self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often it has looked at everything.
    pub(super) fn ticks(&self) -> usize {
        self.told(|told| told.ticks)
    }

    /// How many batches it has committed.
    pub(super) fn commits(&self) -> usize {
        self.told(|told| told.commits)
    }

    /// What it told that is no event.
    pub(super) fn notes(&self) -> Vec<Note> {
        self.told(|told| told.notes.clone())
    }

    /// What it told of the workers of an earlier life.
    pub(super) fn resumed(&self) -> Vec<Resumed> {
        self.told(|told| told.resumed.clone())
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether its last committed state is as `holds` says.
    pub(super) fn is(&self, holds: impl Fn(&RunState) -> bool) -> bool {
        self.told(|told| told.state.as_ref().is_some_and(holds))
    }

    /// Waits until its committed state is as `holds` says.
    #[track_caller]
    pub(super) fn await_state(&self, what: &str, holds: impl Fn(&RunState) -> bool) {
        wait_until(what, PATIENCE, || self.is(&holds));
    }

    /// Waits until a task is in a phase.
    #[track_caller]
    pub(super) fn await_task(&self, task: &str, phase: &str) {
        let there = |state: &RunState| {
            state.task_index(task).is_some_and(|index| state.tasks[index].phase.word() == phase)
        };
        self.await_state(&format!("{task} to be {phase}"), there);
    }

    /// Asks as another process would; waits for the answer.
    pub(super) fn ask(stage: &Stage, request: &Request) -> Answer {
        let home = &stage.backstage.home;
        let journal = Journal::open(home).unwrap();
        let id = journal.ask(home, super::stage::RUN, request, 0).unwrap();
        wait_for("an answer", PATIENCE, || journal.answered(id).unwrap())
    }

    /// Waits for its own end.
    pub(super) fn join(mut self) -> Outcome {
        wait_until("the end of a life", PATIENCE, || self.is_over());
        self.thread.take().unwrap().join().unwrap()
    }

    /// Ends it as `kill -9` would.
    pub(super) fn kill(self) -> Outcome {
        self.end.notify_one();
        self.join()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // A failed test must not leave a supervisor behind that writes into a removed home.
        self.end.notify_one();
    }
}
