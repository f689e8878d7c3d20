//! `ilchul plan`: what `up` would do with a workflow, and with the last run of an edited one.
//!
//! It asks git, tmux and the journal, and touches nothing. It leaves out a last run that has
//! just this file: whether `up` goes on with it is `runs`' and `up`'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::choose::{self, Choice};
use super::describe::{self, count};
use super::error::{CliError, words};
use super::exit_code::Exit;
use super::output::Output;
use super::place::{self, Place, Run};
use super::workflow_file::{self, File};
use super::{Global, adopt, agent_look, prompts, setup_plan, start, submit_line, surroundings, up};
use crate::home::Home;
use crate::journal::{Journal, JournalError};
use crate::render::words;
use crate::supervisor::fold::Proof;
use crate::workflow::{Task, TaskBase, Workflow};

/// Uncommitted paths that are named to people.
const NAMED: usize = 10;

/// A task, and the commit of the base that it names itself.
type Placed<'a> = (&'a Task, Option<String>);

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The workflow file; `ilchul.yaml` at the repository's root by default.
    file: Option<PathBuf>,
    /// What would host the workers; never replaced by another kind when named.
    #[arg(long, value_name = "KIND", value_parser = clap::builder::PossibleValuesParser::new(choose::SESSIONS))]
    session: Option<String>,
    /// Live workers at once; the workflow's limit, or the number of cores (20 on Slurm), by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    workers: Option<u32>,
    /// Show what each agent would be told as well.
    #[arg(long)]
    prompts: bool,
}

/// What `up` would do. Everything is found out before the first line is printed, so that
/// a plan is whole or an error.
struct Plan<'a> {
    file: &'a File,
    name: String,
    base: (String, &'a str),
    uncommitted: Vec<String>,
    session: Choice,
    workers: u32,
    home: &'a Path,
    layers: Vec<Vec<Placed<'a>>>,
    setup: Option<setup_plan::Outlook>,
    /// A clause for each agent, and what people are told of it.
    agents: agent_look::Found,
    /// What jobs won't have of these surroundings.
    lacking: Vec<String>,
    /// What agents would be told, where that was asked for.
    prompts: Option<Vec<prompts::Prompt>>,
    /// The last run, where the file has been edited since, and what that means for it.
    edited: Option<(Run, adopt::Change)>,
}

/// Runs it.
///
/// # Errors
/// Whatever would keep `up` from starting: the file, a base, a session that was named.
pub fn run(global: &Global, args: &PlanArgs, output: Output) -> Result<Exit, CliError> {
    let here = workflow_file::here()?;
    let path = workflow_file::locate(&here, args.file.as_deref());
    let file = workflow_file::load(&path, output)?;
    let place = place::find(global.home.as_deref())?;
    let workflow = &file.loaded.workflow;
    let flag = args.session.as_deref().map(choose::named).transpose()?;
    let chosen = choose::session(flag, workflow.session)?;
    let mut settled = workflow.clone();
    let agents = agent_look::found(&mut settled, chosen.kind)?;
    let plan = Plan {
        agents,
        lacking: surroundings::look(workflow, chosen.kind)?,
        prompts: args.prompts.then(|| prompts::all(&settled)),
        name: path.display().to_string(),
        base: (start::resolve(&place, workflow)?, start::base_name(workflow)),
        uncommitted: uncommitted(&place, &here)?,
        workers: choose::workers(args.workers, workflow.limits.workers, chosen.kind),
        session: chosen,
        home: place.home.root(),
        layers: layers(&place, workflow)?,
        setup: setup_plan::look(&place, workflow)?,
        edited: edited(&place, &path, (&file, args.workers))?,
        file: &file,
    };
    output.result(|| plan.json(), || crate::render::clean(&plan.text()));
    Ok(Exit::Done)
}

/// The last run of the workflow, if its file was another one.
fn edited(
    place: &Place,
    path: &Path,
    (file, workers): (&File, Option<u32>),
) -> Result<Option<(Run, adopt::Change)>, CliError> {
    let journal = match Journal::open_read(&place.home) {
        Err(JournalError::Missing { .. }) => return Ok(None),
        opened => opened?,
    };
    let identity = workflow_file::identity(path, place.repository.main_checkout());
    let Some(last) = up::last_run(place, &journal, &identity, Proof::Since)? else { return Ok(None) };
    let change = adopt::change(place, last.engine.state(), file, workers)?;
    Ok(change.map(|change| (last, change)))
}

/// What isn't committed in the checkout that the user stands in.
fn uncommitted(place: &Place, here: &Path) -> Result<Vec<String>, CliError> {
    // Not always the main checkout: `HEAD` is that of the worktree one stands in.
    let root = workflow_file::root(here).unwrap_or_else(|| place.repository.main_checkout().to_owned());
    place.repository.uncommitted(&root).map_err(|error| CliError::new("repository", words(&error)))
}

/// Tasks by the step at which they could start, each with the commit of its own base.
fn layers<'a>(place: &Place, workflow: &'a Workflow) -> Result<Vec<Vec<Placed<'a>>>, CliError> {
    let mut layers = Vec::new();
    for layer in order(&workflow.tasks) {
        let resolved = layer.into_iter().map(|task| Ok((task, task_base(place, task)?)));
        layers.push(resolved.collect::<Result<_, CliError>>()?);
    }
    Ok(layers)
}

/// The commit of a base that the task names itself; `up` would resolve it at the same moment.
fn task_base(place: &Place, task: &Task) -> Result<Option<String>, CliError> {
    let Some(TaskBase::Commit(written)) = &task.base else { return Ok(None) };
    let commit = place.repository.resolve_commit(written).map_err(|error| {
        let shown = written.escape_debug();
        CliError::new("base", format!("find the base `{shown}` of task `{}`: {}", task.id, words(&error)))
            .hint("Name a commit, branch or tag of this repository with `base:`.")
    })?;
    Ok(Some(commit))
}

/// The earliest step of each task; within a step in the order of the file.
fn order(tasks: &[Task]) -> Vec<Vec<&Task>> {
    let mut layers: Vec<Vec<&Task>> = Vec::new();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let by_id: BTreeMap<&str, &Task> = tasks.iter().map(|task| (task.id.as_str(), task)).collect();
    let reviews = tasks.iter().flat_map(|task| task.reviewers().map(|by| (by, task.id.as_str())));
    let reviews: BTreeMap<&str, &str> = reviews.collect();
    // Ends with the tasks: a validated workflow has no cycle, and an empty step stops in any case.
    while done.len() < tasks.len() {
        // A task ends after its reviewers, and they start once its own work is done.
        let ends = |id: &str| {
            done.contains(id) && by_id.get(id).is_none_or(|task| task.reviewers().all(|by| done.contains(by)))
        };
        let can_start = |task: &&Task| {
            !done.contains(task.id.as_str())
                && task.needs.iter().all(|need| ends(&need.task))
                && reviews.get(task.id.as_str()).is_none_or(|reviewed| done.contains(reviewed))
        };
        let layer: Vec<&Task> = tasks.iter().filter(can_start).collect();
        if layer.is_empty() {
            break;
        }
        done.extend(layer.iter().map(|task| task.id.as_str()));
        layers.push(layer);
    }
    layers
}

impl Plan<'_> {
    /// For people: one block for the run, one for each step.
    fn text(&self) -> String {
        let workflow = &self.file.loaded.workflow;
        let tasks = count(workflow.tasks.len(), "task");
        let (commit, written) = &self.base;
        let new = if self.home.exists() { "" } else { " (to be made)" };
        let mut text = format!("Workflow  {} ({}, {tasks})\n", workflow.name, self.name);
        // A `String` takes every write.
        let _ = writeln!(text, "Base      {} ({written})", words::short(commit));
        if !self.uncommitted.is_empty() {
            let names = describe::list(&self.uncommitted, NAMED);
            let _ = writeln!(text, "          not part of it, because uncommitted: {names}");
        }
        let _ = writeln!(text, "Sessions  {} ({})", self.session.kind.word(), self.session.why);
        let _ = writeln!(text, "Workers   {} at once", self.workers);
        for line in &self.lacking {
            let _ = writeln!(text, "Lacking   {line}");
        }
        for line in &self.agents.lines {
            let _ = writeln!(text, "Agent     {line}");
        }
        for bound in describe::bounds(&workflow.limits) {
            let _ = writeln!(text, "Limit     {bound}");
        }
        let _ = writeln!(text, "Home      {}{new}", self.home.display());
        text.extend(self.setup.iter().map(setup_plan::Outlook::text));
        for (index, layer) in self.layers.iter().enumerate() {
            let _ = writeln!(text, "\nStep {}", index + 1);
            for (task, commit) in layer {
                let submits = |task: &Task, id: &str| self.submits(task, id);
                task_text(&mut text, (task, commit.as_deref()), &submits);
            }
        }
        text.extend(self.prompts.iter().map(|all| prompts::text(all)));
        let Some((last, change)) = &self.edited else {
            text.push_str("\nNothing was started. Run `ilchul up` to start it.\n");
            return text;
        };
        let started = &last.engine.state().started;
        let _ = writeln!(text, "\nWhat the edited file would mean for the run {}:", started.run);
        text.push_str(&change.text());
        let up = words::up(&started.path);
        let _ = writeln!(
            text,
            "\nNothing was started. Run `{up} --adopt` to go on with that run so, or `{up} --new` to start another."
        );
        text
    }

    /// The line that would submit a task's job, where jobs are submitted.
    fn submits(&self, task: &Task, id: &str) -> Option<Vec<String>> {
        let kind = self.session.kind;
        submit_line::of(&Home::at(self.home), &self.file.loaded.workflow, kind, (task, id))
    }

    /// For scripts: the same, with whole commits and times in milliseconds.
    fn json(&self) -> Value {
        let workflow = &self.file.loaded.workflow;
        let numbered = self.layers.iter().enumerate();
        let tasks: Vec<Value> = numbered
            .flat_map(|(index, layer)| {
                layer.iter().map(move |(task, commit)| {
                    let mut value = task_json(index + 1, task, commit);
                    value["submit"] = json!(self.submits(task, &task.id));
                    value
                })
            })
            .collect();
        json!({
            "workflow": workflow.name,
            "file": self.name,
            "base": {"commit": self.base.0, "written": self.base.1, "uncommitted": self.uncommitted},
            "session": {
                "kind": self.session.kind.word(),
                "reason": self.session.why,
                "notice": self.session.line(),
            },
            "workers": self.workers,
            "lacking": self.lacking,
            "agents": self.agents.json,
            "prompts": self.prompts.as_ref().map(|all| prompts::json(all)),
            "limits": describe::bounds_json(&workflow.limits),
            "order": workflow.order,
            "home": self.home,
            "home_exists": self.home.exists(),
            "setup": self.setup.as_ref().map(setup_plan::Outlook::json),
            "tasks": tasks,
            "adoption": self.edited.as_ref().map(|(last, change)| change.json(last.engine.state())),
            "warnings": workflow_file::details(&self.name, &self.file.loaded.warnings),
        })
    }
}

/// The words that submit a task's job under an id, where one is submitted.
type Submits<'a> = &'a dyn Fn(&Task, &str) -> Option<Vec<String>>;

/// One task for people. What is the default goes without saying, but for time and attempts.
fn task_text(text: &mut String, (task, commit): (&Task, Option<&str>), submits: Submits<'_>) {
    let _ = writeln!(text, "  {}: {}", task.id, describe::what(task));
    if !task.needs.is_empty() {
        let _ = writeln!(text, "    needs: {}", describe::needs(task));
    }
    if let Some(base) = &task.base {
        let commit = commit.map_or_else(String::new, |commit| format!(" ({})", words::short(commit)));
        let _ = writeln!(text, "    base: {}{commit}", describe::base(base));
    }
    for branch in describe::branches(task) {
        let _ = writeln!(text, "    branch: {branch}");
    }
    body_text(text, task, (&task.id, 4), submits);
}

/// What a task must show and how often it may be tried; of a control task, what it makes.
fn body_text(text: &mut String, task: &Task, (id, indent): (&str, usize), submits: Submits<'_>) {
    let made = crate::workflow::made(task);
    for part in &made {
        let _ = writeln!(text, "{:indent$}makes: {}", "", describe::made(part, id));
        let _ = writeln!(text, "{:indent$}  {}", "", describe::what(part.body));
        body_text(text, part.body, (&part.any(id), indent + 2), submits);
    }
    if !made.is_empty() {
        return;
    }
    let items = describe::evidence(&task.evidence);
    for (index, item) in items.iter().enumerate() {
        let word = if index < task.required() || task.conditions == 0 { "evidence" } else { "until" };
        let _ = writeln!(text, "{:indent$}{word}: {item}", "");
    }
    if task.kind.is_control() {
        return;
    }
    if let Some(ceiling) = describe::ceiling(task) {
        let _ = writeln!(text, "    budget: {ceiling}");
    }
    let attempts = u64::from(task.retries) + 1;
    let plural = if attempts == 1 { "" } else { "s" };
    let timeout = describe::duration(task.timeout);
    let _ = writeln!(text, "{:indent$}{attempts} attempt{plural}, {timeout} each", "");
    if let Some(words) = submits(task, id) {
        let _ = writeln!(text, "{:indent$}submit: {}", "", submit_line::text(&words));
    }
}

/// One task for scripts. A need without a policy of its own carries the task's.
fn task_json(step: usize, task: &Task, commit: &Option<String>) -> Value {
    let needs = task.needs.iter();
    let needs: Vec<Value> = needs
        .map(|need| json!({"task": need.task, "when": describe::when(need.when.unwrap_or(task.when))}))
        .collect();
    let base = task.base.as_ref().map(|base| match base {
        TaskBase::Commit(written) => json!({"task": null, "commit": commit, "written": written}),
        TaskBase::Task(id) => json!({"task": id, "commit": null, "written": null}),
    });
    let mut value = body_json(task, &task.id);
    value["id"] = json!(task.id);
    value["step"] = json!(step);
    value["needs"] = json!(needs);
    value["when"] = json!(describe::when(task.when));
    value["base"] = json!(base);
    value["branches"] = json!(task.branches);
    value
}

/// What a task of the file and one that is made have in common.
fn body_json(task: &Task, id: &str) -> Value {
    let items = task.evidence.items().iter().enumerate();
    let evidence: Vec<Value> = items
        .map(|(index, item)| {
            let until = index >= task.required();
            json!({"kind": item.kind(), "words": describe::item(item), "until": until})
        })
        .collect();
    let waived = match &task.evidence {
        crate::workflow::Evidence::Items(_) => None,
        crate::workflow::Evidence::Waived(reason) => Some(reason),
    };
    let made = crate::workflow::made(task);
    let makes: Vec<Value> = made
        .iter()
        .map(|part| {
            let (first, last) = part.ids(id);
            let mut value = body_json(part.body, &part.any(id));
            value["role"] = json!(part.role);
            value["count"] = json!(part.count);
            value["first"] = json!(first);
            value["last"] = json!(last);
            value
        })
        .collect();
    json!({
        "kind": task.word(),
        "what": describe::what(task),
        "workspace": task.workspace,
        "evidence": evidence,
        "waived": waived,
        "timeout_ms": u64::try_from(task.timeout.as_millis()).unwrap_or(u64::MAX),
        "attempts": u64::from(task.retries) + 1,
        "retain": task.retain,
        "makes": makes,
        "budget": task.budget,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(tasks: &str) -> Vec<Vec<String>> {
        let text = format!("version: 1\ntasks:\n{tasks}");
        let workflow = crate::workflow::load("x.yaml", text.as_bytes()).unwrap().workflow;
        let ids = |layer: Vec<&Task>| layer.iter().map(|task| task.id.clone()).collect();
        order(&workflow.tasks).into_iter().map(ids).collect()
    }

    #[test]
    fn d2_a_task_is_planned_at_the_first_step_at_which_its_own_needs_have_ended() {
        let found = steps(
            "  d: { run: x, needs: [b, c] }\n  c: { run: x, needs: [a] }\n  b: { run: x }\n  a: { run: x }\n  e: { run: x, needs: [b] }\n",
        );
        assert_eq!(found, [vec!["b", "a"], vec!["c", "e"], vec!["d"]]);
    }

    #[test]
    fn a_long_chain_is_planned_whole() {
        let link = |n: usize| match n {
            0 => "  t0: { run: x }\n".to_owned(),
            n => format!("  t{n}: {{ run: x, needs: [t{}] }}\n", n - 1),
        };
        assert_eq!(steps(&(0..300).map(link).collect::<String>()).len(), 300);
    }
}
