//! Effects, done: each owed one is started once in this life; its outcome is an input.
//!
//! What blocks goes to other threads. It leaves out what is owed: `outstanding`.

use std::path::Path;

use std::time::Duration;

use ilchul_git_worktree::GitWorktree;
use ilchul_substrate::Handle;

use super::launch::{self, words};
use super::mailbox::Mailbox;
use super::run::{Message, Supervisor};
use super::stop;
use super::world::handle;
use super::{jobs, verify};
use crate::engine::effect::Effect;
use crate::engine::event::Snapshot;
use crate::engine::input::Seen;
use crate::mail::{self, MailError};
use crate::protocol;
use crate::workflow::WorkspaceKind;

impl Supervisor {
    /// Starts what is owed, now that its cause is on the disk.
    pub(super) fn act(&mut self, owed: Vec<Effect>) {
        for effect in owed {
            if self.doing.insert(effect.clone()) {
                self.perform(effect);
            }
        }
        // A dispatch that fails is decided in this turn, so it is journaled with its time:
        // a replay must fold to the very state that was decided on (law J4).
        self.gather();
    }

    fn perform(&mut self, effect: Effect) {
        match &effect {
            Effect::Provision { worker } => {
                let worker = worker.clone();
                self.begins(&worker);
                self.provision(&worker, effect);
            }
            Effect::Deliver { worker, .. } => {
                let worker = worker.clone();
                self.deliver(&worker);
            }
            Effect::Reply { worker, n } => {
                let (worker, n) = (worker.clone(), *n);
                self.reply(&worker, n, &effect);
            }
            Effect::Answer { worker, n } => {
                let (worker, n) = (worker.clone(), *n);
                self.answer(&worker, n, &effect);
            }
            Effect::Stop { worker, force } => {
                let (worker, force) = (worker.clone(), *force);
                self.stop(&worker, force, effect);
            }
            Effect::Capture { worker } => {
                let worker = worker.clone();
                self.capture(&worker, effect);
            }
            Effect::Verify { worker } => {
                let worker = worker.clone();
                self.verify(&worker, effect);
            }
        }
    }

    /// Runs a job elsewhere; what it saw comes back as a message.
    fn elsewhere(&self, effect: Effect, job: impl FnOnce() -> Seen + Send + 'static) {
        let sender = self.sender.clone();
        tokio::task::spawn_blocking(move || {
            let _ = sender.send(Message::Done(effect, job()));
        });
    }

    /// The same for jobs that keep a core or the disk busy: as many at once as there are cores.
    fn elsewhere_in_turn(&self, effect: Effect, job: impl FnOnce() -> Seen + Send + 'static) {
        let (sender, turns) = (self.sender.clone(), self.checkouts.clone());
        tokio::spawn(async move {
            // The semaphore is never closed, so a permit always comes.
            let _turn = turns.acquire_owned().await;
            if let Ok(seen) = tokio::task::spawn_blocking(job).await {
                let _ = sender.send(Message::Done(effect, seen));
            }
        });
    }

    fn provision(&mut self, id: &str, effect: Effect) {
        let Some(job) = jobs::launch(&self.world, &self.engine, id) else {
            if self.undiscovered {
                // It may live, and have been given its work by a journal that is gone.
                self.doing.remove(&effect);
                return;
            }
            // What of it may still be on its way finds this in its mail, and ends.
            if let Some(worker) = self.engine.state().workers.get(id) {
                stop::order(&self.world.home.mail(&self.world.run, id), worker.token, Duration::ZERO);
            }
            // The life that granted the claim ended before anything was made, or halfway:
            // what there is stays and is listed, the next attempt gets fresh names.
            let detail = "the supervisor ended while it was being made".to_owned();
            let seen = Seen::LaunchFailed { step: "interrupted", detail, host: true };
            let _ = self.sender.send(Message::Done(effect, seen));
            return;
        };
        self.open_mailbox(id);
        let state = self.engine.state();
        self.world.ports.keep(state.active.iter().map(|id| (id, state.workers[id].port)));
        let (world, watch) = (self.world.clone(), self.watch.clone());
        self.elsewhere_in_turn(effect, move || launch::launch(&world, &watch, &job));
    }

    pub(super) fn open_mailbox(&mut self, id: &str) {
        let state = self.engine.state();
        let Some(worker) = state.workers.get(id) else { return };
        let worktree = state.planned(worker.task).workspace == WorkspaceKind::Worktree;
        let folder = self.world.home.mail(&self.world.run, id);
        let tree = self.world.tree(id, worktree);
        self.mailboxes.entry(id.to_owned()).or_insert_with(|| {
            let mailbox = Mailbox::new(folder, tree);
            if self.world.sessions.capabilities().local_files { mailbox } else { mailbox.of_another_host() }
        });
    }

    /// The rename of the assignment is the delivery; one that is there already isn't repeated.
    fn deliver(&mut self, id: &str) {
        let state = self.engine.state();
        let timeout = state.workers.get(id).map(|worker| state.planned(worker.task).timeout);
        let deadline = timeout.and_then(|timeout| {
            let at = jiff::Timestamp::from_millisecond(super::clock::wall_ms()).ok()?;
            Some(at.checked_add(timeout).ok()?.to_string())
        });
        let Some(assignment) = jobs::assignment(&self.world, state, id, deadline) else { return };
        let folder = self.world.home.mail(&self.world.run, id);
        match mail::write_new(&folder, protocol::ASSIGNMENT, &assignment, false) {
            Ok(()) | Err(MailError::Exists(_)) => self.expect_mail(id),
            // An older life may have delivered it, and a full disk says nothing of that.
            Err(_) if may_be_there(&folder.join(protocol::ASSIGNMENT)) => {}
            Err(error) => {
                let seen =
                    Seen::LaunchFailed { step: "dispatch", detail: words(&error), host: !error.is_gone() };
                self.see(id, seen);
            }
        }
    }

    /// The answer to a submission, whole or not at all; one that is there says the same.
    fn reply(&mut self, id: &str, n: u32, effect: &Effect) {
        let Some(answer) = jobs::answer(self.engine.state(), id, n) else { return };
        let folder = self.world.home.mail(&self.world.run, id);
        match mail::write_json(&folder, &protocol::submit_result_name(n), &answer, false) {
            Ok(()) => {}
            // Nobody reads there any more.
            Err(error) if error.is_gone() => {}
            Err(error) => {
                tracing::warn!(%error, "the answer to a submission can't be written");
                self.doing.remove(effect);
            }
        }
    }

    /// A person's answer. One that is there is never replaced: its worker may be reading it.
    fn answer(&mut self, id: &str, n: u32, effect: &Effect) {
        let Some(answer) = jobs::given(self.engine.state(), id, n) else { return };
        let folder = self.world.home.mail(&self.world.run, id);
        match mail::write_new(&folder, &protocol::answer_name(n), &answer, false) {
            Ok(()) | Err(MailError::Exists(_)) => {}
            // Nobody reads there any more.
            Err(error) if error.is_gone() => {}
            Err(error) => {
                tracing::warn!(%error, "an answer can't be written");
                self.doing.remove(effect);
            }
        }
    }

    fn stop(&mut self, id: &str, force: bool, effect: Effect) {
        let Some(worker) = self.engine.state().workers.get(id) else { return };
        if self.doing.contains(&Effect::Provision { worker: id.to_owned() }) {
            // It is being made right now: the launch's outcome tells what is to be ended.
            self.doing.remove(&effect);
            return;
        }
        let grace = (!force).then_some(self.engine.state().workflow().limits.grace);
        let (world, token, session) = (self.world.clone(), worker.token, self.session_of(id));
        let (folder, id) = (world.home.mail(&world.run, id), id.to_owned());
        self.elsewhere(effect, move || stop::find_and_stop(&world, (&id, session), &folder, (token, grace)));
    }

    fn capture(&self, id: &str, effect: Effect) {
        let state = self.engine.state();
        let place = state.workers.get(id).and_then(|worker| worker.workspace.as_ref());
        let (Some(place), Some(repository), Ok(mark)) =
            (place, self.world.repository.clone(), self.world.mark(id))
        else {
            return;
        };
        let tree = handle(mark, place);
        let reference = format!("refs/ilchul/{}/{id}", self.world.run);
        self.elsewhere_in_turn(effect, move || Seen::Captured {
            snapshot: keep(&repository, &tree, &reference),
        });
    }

    fn verify(&self, id: &str, effect: Effect) {
        let Some(case) = jobs::case(&self.world, self.engine.state(), id) else { return };
        self.elsewhere(effect, move || Seen::Judged { checked: verify::verify(&case) });
    }
}

/// Whether something stands at `path`, or nobody can know: a failed look is no absence (law L9).
fn may_be_there(path: &Path) -> bool {
    !matches!(std::fs::symlink_metadata(path), Err(error) if error.kind() == std::io::ErrorKind::NotFound)
}

fn keep(repository: &GitWorktree, tree: &Handle, reference: &str) -> Result<Snapshot, String> {
    let message = format!("ilchul: what {} held when its attempt was over", tree.mark.worker());
    let kept = repository.snapshot(tree, reference, &message).map_err(|error| words(&error))?;
    Ok(Snapshot {
        commit: kept.commit,
        tip: kept.parent,
        uncommitted: kept.uncommitted,
        changed: kept.changed,
    })
}
