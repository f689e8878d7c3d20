//! Looking round the workers at dispatch and at settlement (law R5): what changed in the main
//! checkout, in references and settings that all share, in other workers' trees.
//!
//! One look serves everybody who starts or ends within it, and the next one waits twenty times
//! as long as it took, so that looking never costs more than a twentieth of a core. A launch
//! waits for a look that is under way; the end of the run waits for the last one. It leaves out
//! what is looked at (`ilchul_git_worktree`), and who changed something, which nobody can know.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use ilchul_git_worktree::{Fingerprint, GitWorktree, Sibling};

use super::run::{Message, Supervisor};
use super::world::{World, handle};
use crate::engine::event::{Drift, DriftChange, Event, WorkerStep};
use crate::engine::input::Input;
use crate::engine::moment::Moment;
use crate::engine::state::{RunPhase, RunState, WorkerState};
use crate::engine::worker_table::WorkerPhase;
use crate::home::Home;

/// The least time between two looks.
const GAP: Duration = Duration::from_millis(20);
/// How much longer than a look the time to the next is.
const REST: u32 = 20;
/// The longest rest, so that a slow disk doesn't end the looking.
const REST_MAX: Duration = Duration::from_mins(1);
/// A look that takes longer is given up, and so is looking: nobody's run waits for a dead disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// Other workers' places that one look takes in, the last ones first.
const SIBLINGS_MAX: usize = 256;
/// Most bytes of what an earlier life left.
const KEPT_MAX: u64 = 64 << 20;

/// When is looked, and what was seen last.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    last: Option<Arc<Fingerprint>>,
    /// What an earlier life saw last is still to be read.
    load: bool,
    /// Who has been at work since the last look began.
    at_work: BTreeSet<String>,
    /// Somebody starts, or has ended, since the last look began.
    due: bool,
    /// The look that is under way: since when, and for whom.
    looking: Option<(Moment, Vec<String>)>,
    /// What was seen is being kept.
    keeping: bool,
    /// To be kept once its events are on the disk: what was seen, if it is news, and when.
    unkept: Option<(Option<Arc<Fingerprint>>, Moment)>,
    /// Not before this.
    next: Moment,
    given_up: bool,
}

/// What one look saw.
pub(super) struct Looked {
    now: Arc<Fingerprint>,
    drift: Drift,
    news: bool,
}

impl Supervisor {
    /// Takes over who may have been at work while nobody looked.
    pub(super) fn watch_again(&mut self) {
        let state = self.engine.state();
        if self.world.repository.is_none() || state.phase != RunPhase::Running {
            return;
        }
        let looked = read(&self.world.home.looked(&self.world.run), 64).ok();
        let looked = looked.and_then(|bytes| serde_json::from_slice::<Moment>(&bytes).ok());
        let since = looked.unwrap_or_default();
        let was_at_work = |worker: &WorkerState| {
            worker.session.is_some() && (!worker.is_over() || worker.since.moment >= since)
        };
        let workers = state.workers.iter().filter(|(_, worker)| was_at_work(worker));
        self.lookout.at_work = workers.map(|(id, _)| id.clone()).collect();
        self.lookout.load = true;
        self.lookout.due = !self.lookout.at_work.is_empty();
        self.engine.await_look(self.lookout.due);
    }

    /// A launch is decided: it is looked before anything of it can work.
    pub(super) fn notice(&mut self, events: &[Event]) {
        let begins = |event: &Event| matches!(event, Event::Worker(event) if matches!(event.step, WorkerStep::Provisioning { .. }));
        self.lookout.due |= self.world.repository.is_some() && events.iter().any(begins);
    }

    /// From here on the worker may work.
    pub(super) fn begins(&mut self, worker: &str) {
        if self.world.repository.is_some() && !self.lookout.given_up {
            self.lookout.at_work.insert(worker.to_owned());
            self.engine.await_look(true);
        }
    }

    /// Whether launches wait for the look that is under way.
    pub(super) fn holds_launches(&self) -> bool {
        self.lookout.looking.is_some()
    }

    /// How long until the next look may begin, where one is due.
    pub(super) fn until_look(&self, now: Moment) -> Option<Duration> {
        let lookout = &self.lookout;
        let waits = lookout.due && lookout.looking.is_none() && !lookout.keeping && !lookout.given_up;
        waits.then(|| lookout.next.since(now))
    }

    /// Begins a look, if one is due.
    pub(super) fn look_round(&mut self) {
        let (now, state) = (self.turn.stamp.moment, self.engine.state());
        if self.lookout.looking.as_ref().is_some_and(|(since, _)| now.since(*since) > PATIENCE) {
            return self.give_up_looking();
        }
        // Whoever couldn't be ended is looked at once more, and keeps no run from its end.
        let is_over =
            |id: &String| state.workers.get(id).is_none_or(|worker| worker.is_over() || worker.at_large);
        let lookout = &mut self.lookout;
        lookout.due |= lookout.at_work.iter().any(is_over);
        // The end of the run waits for nothing else.
        let hurry = state.open_count == 0 || state.stopping.is_some();
        let may = lookout.looking.is_none() && !lookout.keeping && !lookout.given_up;
        let Some(repository) = self.world.repository.clone() else { return };
        if !(lookout.due && may && (hurry || lookout.next <= now)) {
            return;
        }
        let siblings = siblings(&self.world, state);
        let workers: Vec<String> = lookout.at_work.iter().cloned().collect();
        lookout.at_work.retain(|id| !is_over(id));
        lookout.due = false;
        let last = (lookout.last.clone(), std::mem::take(&mut lookout.load), !workers.is_empty());
        lookout.looking = Some((now, workers));
        let (home, run, sender) = (self.world.home.clone(), self.world.run.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            let looked = look(&repository, (&home, &run), last, &siblings);
            let _ = sender.send(Message::LookedRound(Box::new(looked)));
        });
    }

    /// What a look saw: told with who was at work, and from now on what is compared with.
    pub(super) fn looked_round(&mut self, looked: Looked) {
        let Some((since, workers)) = self.lookout.looking.take() else { return };
        let now = self.turn.stamp.moment;
        let rest = (now.since(since) * REST).clamp(GAP, REST_MAX);
        self.lookout.next = now.after(rest);
        let news = looked.news || matches!(self.lookout.unkept, Some((Some(_), _)));
        self.lookout.unkept = Some((news.then(|| looked.now.clone()), since));
        self.lookout.last = Some(looked.now);
        self.engine.await_look(!self.lookout.at_work.is_empty());
        self.handle(&Input::Looked { workers, drift: looked.drift });
    }

    /// Keeps what was seen for a later life, now that what follows from it is on the disk.
    pub(super) fn keep_looked(&mut self) {
        let Some((now, at)) = self.lookout.unkept.take() else { return };
        self.lookout.keeping = true;
        let (home, run, sender) = (self.world.home.clone(), self.world.run.clone(), self.sender.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = keep(&home, &run, now.as_deref(), at) {
                // A life that comes later says that it doesn't know.
                tracing::warn!(%error, "what was seen round the workers can't be kept");
            }
            let _ = sender.send(Message::KeptRound);
        });
    }

    /// What was seen is kept: the next look may begin.
    pub(super) fn kept_round(&mut self) {
        self.lookout.keeping = false;
    }

    fn give_up_looking(&mut self) {
        let Some((_, mut workers)) = self.lookout.looking.take() else { return };
        self.lookout.given_up = true;
        workers.extend(std::mem::take(&mut self.lookout.at_work));
        self.engine.await_look(false);
        let unseen = Some(format!("the repository: a look took longer than {} s", PATIENCE.as_secs()));
        self.handle(&Input::Looked { workers, drift: Drift { unseen, ..Drift::default() } });
    }
}

/// Other workers' places: those at work, and those whose end is on record, the last ones first.
fn siblings(world: &World, state: &RunState) -> Vec<Sibling> {
    let counts = |worker: &WorkerState| {
        let left = matches!(worker.phase, WorkerPhase::CleanupReleased | WorkerPhase::Closed);
        let known = !worker.is_over() || matches!(worker.captured, Some(Some(_)));
        worker.workspace.is_some() && known && !left
    };
    let mut found: Vec<(&String, &WorkerState)> =
        state.workers.iter().map(|(id, worker)| (id, worker.as_ref())).filter(|(_, w)| counts(w)).collect();
    found.sort_by_key(|(_, worker)| (worker.is_over(), std::cmp::Reverse(worker.since.moment)));
    let sibling = |(id, worker): (&String, &WorkerState)| {
        let tree = handle(world.mark(id).ok()?, worker.workspace.as_ref()?);
        let settled = worker.captured.as_ref().filter(|_| worker.is_over());
        let tip = settled.and_then(|kept| kept.as_ref()).map(|kept| kept.tip.clone());
        Some(Sibling { tree, tip })
    };
    found.into_iter().take(SIBLINGS_MAX).filter_map(sibling).collect()
}

/// One look, compared with the last. `expected`: somebody was at work since then.
fn look(
    repository: &GitWorktree,
    (home, run): (&Home, &str),
    (last, load, expected): (Option<Arc<Fingerprint>>, bool, bool),
    siblings: &[Sibling],
) -> Looked {
    let kept = || read(&home.surroundings(run), KEPT_MAX).ok();
    let parsed = || serde_json::from_slice(&kept()?).ok().map(Arc::new);
    let last = if load { parsed() } else { last };
    let now = repository.fingerprint(last.as_deref(), run, siblings);
    let mut unseen = now.unseen();
    let Some(last) = last else {
        if load && expected {
            unseen =
                Some("the repository: what was seen before this supervisor began can't be read".to_owned());
        }
        return Looked { now: Arc::new(now), drift: Drift { changes: Vec::new(), unseen }, news: true };
    };
    let change = |change: ilchul_git_worktree::Change| DriftChange {
        kind: change.kind.to_owned(),
        names: change.names,
        more: change.more,
    };
    let changes = now.changes(&last).into_iter().map(change).collect();
    let now = now.or_before(&last);
    let news = now != *last || load;
    Looked { now: Arc::new(now), drift: Drift { changes, unseen }, news }
}

fn keep(home: &Home, run: &str, now: Option<&Fingerprint>, at: Moment) -> io::Result<()> {
    let put = |path, bytes: Vec<u8>| -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(home.run(run))?;
        file.write_all(&bytes)?;
        file.persist(path)?;
        Ok(())
    };
    if let Some(now) = now {
        put(home.surroundings(run), serde_json::to_vec(now)?)?;
    }
    // Last: an older moment only names more workers than were at work, never fewer.
    put(home.looked(run), serde_json::to_vec(&at)?)
}

fn read(path: &std::path::Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
