//! What an edited workflow file means for its last run: told per task, and adopted when asked.
//!
//! The comparison is the engine's (`reshape`). It leaves out driving the run afterwards.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::error::CliError;
use super::place::{Place, Run};
use super::workflow_file::File;
use super::{agent_look, choose, setup, start};
use crate::engine::event::Adopted;
use crate::engine::reshape::{self, Fate, Outlook};
use crate::engine::state::{RunPhase, RunState};
use crate::journal::Journal;
use crate::render::words::{count, list, short, up};
use crate::supervisor::clock::Clock;
use crate::workflow::{SessionKind, TaskBase, Workflow};

/// More tasks than this, and those that are kept are only counted.
const ROWS: usize = 200;
/// Digits of a digest that are shown: enough to tell two apart.
const DIGITS: usize = 12;

/// An edit, and what it would lead to.
pub struct Change {
    adopted: Adopted,
    outlooks: Vec<Outlook>,
    settings: Vec<String>,
    /// Where the base's name leads now, if it isn't what the run keeps.
    moved_to: Option<String>,
}

/// Compares the file with the run; `None` where the run has just this file.
///
/// # Errors
/// When a base that the edit names is no commit.
pub fn change(
    place: &Place,
    state: &RunState,
    file: &File,
    workers: Option<u32>,
) -> Result<Option<Change>, CliError> {
    let started = &state.started;
    if started.digest == file.digest {
        return Ok(None);
    }
    let (old, new) = (state.workflow(), &file.loaded.workflow);
    let base_name = start::base_name(new).to_owned();
    // A name that stays stands for what it stood for: the run has one base, not two.
    let same_name = base_name == started.base_name;
    let base = if same_name { started.base.clone() } else { start::resolve(place, new)? };
    let now = if same_name { start::resolve(place, new).ok() } else { None };
    let mut bases = BTreeMap::new();
    for task in &new.tasks {
        if let Some(TaskBase::Commit(name)) = &task.base
            && !bases.contains_key(name)
        {
            let known = started.bases.get(name).cloned();
            bases.insert(name.clone(), known.map_or_else(|| start::commit(place, name), Ok)?);
        }
    }
    let kept = new.limits.workers == old.limits.workers && workers.is_none();
    let adopted = Adopted {
        digest: file.digest.clone(),
        copy: String::new(),
        base_name,
        bases,
        setup: None,
        workers: if kept {
            started.workers
        } else {
            choose::workers(workers, new.limits.workers, started.session)
        },
        workflow: known_agents(new, old, started.session)?,
        base,
    };
    Ok(Some(Change {
        outlooks: reshape::plan(state, &adopted),
        settings: reshape::settings(old, new),
        moved_to: now.filter(|now| *now != adopted.base),
        adopted,
    }))
}

/// The edited workflow, with what the run knows of its agents; others are looked at.
fn known_agents(new: &Workflow, old: &Workflow, session: SessionKind) -> Result<Workflow, CliError> {
    let mut workflow = new.clone();
    agent_look::inherit(&mut workflow, old);
    if agent_look::has_unknown(&workflow) {
        agent_look::settle(&mut workflow, session)?;
    }
    Ok(workflow)
}

impl Change {
    /// One aligned line a task, and what else there is to know; each with its line break.
    #[must_use]
    pub fn text(&self) -> String {
        let few = self.outlooks.len() <= ROWS;
        let shown: Vec<&Outlook> = self.outlooks.iter().filter(|one| few || one.fate != Fate::Keep).collect();
        let width = shown.iter().map(|one| one.task.len()).max().unwrap_or_default();
        let mut text = String::new();
        for one in &shown {
            let row = format!("  {:<6}  {:<width$}  {}", one.fate.word(), one.task, reason(one));
            // A `String` takes every write.
            let _ = writeln!(text, "{}", row.trim_end());
        }
        if let hidden @ 1.. = self.outlooks.len() - shown.len() {
            let _ = writeln!(text, "  keep    {}", count(hidden, "more task"));
        }
        if !self.settings.is_empty() {
            let keys: Vec<String> = self.settings.iter().map(|key| format!("`{key}`")).collect();
            let _ = writeln!(text, "Settings of the run that change: {}.", list(&keys));
        }
        if let Some(now) = &self.moved_to {
            let (name, kept) = (&self.adopted.base_name, short(&self.adopted.base));
            let _ = writeln!(
                text,
                "The base `{name}` has moved to {}; this run stays at {kept}, another one would not.",
                short(now)
            );
        }
        text
    }

    /// `2 tasks rerun, 1 is new`.
    fn tally(&self) -> String {
        let number = |fate: Fate| self.outlooks.iter().filter(|one| one.fate == fate).count();
        let verb =
            |one: &'static str, more: &'static str, number: usize| if number == 1 { one } else { more };
        let rerun = number(Fate::Rerun);
        let mut parts = match rerun {
            0 => vec!["no task would rerun".to_owned()],
            some => vec![format!("{} would rerun", count(some, "task"))],
        };
        for (fate, word) in [(Fate::Replan, "planned again"), (Fate::New, "new"), (Fate::Gone, "gone")] {
            if let some @ 1.. = number(fate) {
                parts.push(format!("{some} {} {word}", verb("is", "are", some)));
            }
        }
        parts.join(", ")
    }

    /// The same for scripts.
    #[must_use]
    pub fn json(&self, state: &RunState) -> Value {
        let digits = |digest: &Option<String>| {
            digest.as_ref().and_then(|digest| digest.get(..DIGITS).map(str::to_owned))
        };
        let task = |one: &Outlook| {
            json!({
                "id": one.task, "plan": one.fate.word(), "reason": one.because, "ends": one.ends,
                "was": digits(&one.was), "becomes": digits(&one.becomes),
            })
        };
        json!({
            "run": state.started.run,
            "file": {"was": state.started.digest, "becomes": self.adopted.digest},
            "base": {"commit": self.adopted.base, "written": self.adopted.base_name, "moved_to": self.moved_to},
            "workers": self.adopted.workers,
            "settings": self.settings,
            "tasks": self.outlooks.iter().map(task).collect::<Vec<_>>(),
        })
    }

    /// What `up` says without `--adopt`.
    #[must_use]
    pub fn needed(&self, state: &RunState) -> CliError {
        let ended = matches!(state.phase, RunPhase::Ended { .. });
        let so = if ended { "it has ended, and the file has" } else { "the file has" };
        let message =
            format!("go on with the run `{}`: {so} changed since: {}", state.started.run, self.tally());
        let path = &state.started.path;
        CliError::new("workflow_changed", message)
            .hint(format!(
                "Run `{0} --adopt` to go on with the run so, `{0} --new` to start another, or put the file back.",
                up(path)
            ))
            .details(self.json(state))
    }

    /// The same with the approval of the setup that the edited file has.
    ///
    /// # Errors
    /// When nobody approved it.
    pub fn approved(mut self, place: &Place, trust: bool) -> Result<Self, CliError> {
        let adopted = &self.adopted;
        let commits = std::iter::once(&adopted.base).chain(adopted.bases.values());
        let setup = setup::of(place, &adopted.workflow, commits.map(String::as_str))?;
        self.adopted.setup = setup::granted(place, setup, trust)?;
        Ok(self)
    }

    /// Decides and commits the adoption; nothing has been acted on when it returns.
    ///
    /// # Errors
    /// An edit that needs another run, or what keeps it from being written.
    pub fn adopt(
        mut self,
        place: &Place,
        journal: &mut Journal,
        mut run: Run,
        file: &File,
    ) -> Result<Run, CliError> {
        let id = run.engine.state().started.run.clone();
        self.adopted.copy = start::copy_name(place, &id)?;
        let state = run.engine.state();
        let clock = Clock::kernel().on_line(&state.anchor, state.last_at.moment);
        let (now, path) = (clock.now(), state.started.path.clone());
        run.engine.adopt(now, &self.adopted).map_err(|rejection| {
            let message = format!("adopt the edited file into the run `{id}`: {}", rejection.message);
            CliError::new(rejection.code, message)
                .hint(format!("Run `{} --new` to start another run with it, or put it back.", up(&path)))
        })?;
        // The copy is on the disk before the row that names it (law J1).
        start::freeze_copy(place, &id, &self.adopted.copy, &file.bytes)?;
        journal.append(&id, now.stamp, run.engine.take_events())?;
        Ok(run)
    }
}

/// The reason of one line, with the workers that it costs.
fn reason(one: &Outlook) -> String {
    let ends: Vec<String> = one.ends.iter().map(|worker| format!("`{worker}`")).collect();
    let verb = if ends.len() == 1 { "is" } else { "are" };
    if ends.is_empty() {
        return one.because.clone();
    }
    format!("{}; {} {verb} ended first", one.because, list(&ends))
}
