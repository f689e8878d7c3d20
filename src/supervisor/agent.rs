//! Agents as a supervisor hands them over: where their things are, what is written for them,
//! what they are told.
//!
//! It leaves out what an adapter is (`workflow`) and how its texts are put together (`agents`).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::launch::PROMPT;
use super::world::World;
use crate::agents::prompt::{self, Told, Values};
use crate::agents::{Composed, Site, compose};
use crate::engine::budget::Amounts;
use crate::engine::state::RunState;
use crate::mail;
use crate::protocol::AGENT_DIR;
use crate::workflow::{Agent, Task, TaskKind, WorkspaceKind};

/// The agent of a task, and the model that the task names.
pub(super) fn of<'s>(state: &'s RunState, planned: &'s Task) -> Option<(&'s Agent, Option<&'s str>)> {
    let TaskKind::Agent { agent, model, .. } = &planned.kind else { return None };
    Some((state.workflow().agents.get(agent)?, model.as_deref()))
}

/// The launch of an attempt, with the prompt as it was written; none for a program of the user's own.
pub(super) fn composed(world: &World, state: &RunState, id: &str) -> Option<Composed> {
    let planned = state.planned(state.workers.get(id)?.task);
    let (agent, model) = of(state, planned)?;
    compose::compose(agent, model, &site(world, planned, id))
}

fn site(world: &World, planned: &Task, id: &str) -> Site {
    let text = |path: &Path| path.display().to_string();
    let mail = world.home.mail(&world.run, id);
    let tree = world.tree(id, planned.workspace == WorkspaceKind::Worktree);
    let repository = world.repository.as_ref().filter(|_| planned.workspace == WorkspaceKind::Worktree);
    // Without a worktree there is no repository that it works in.
    let (repo, common, git) = repository.map_or_else(
        || (tree.clone(), tree.clone(), tree.clone()),
        |repository| {
            let common = repository.common_dir().to_owned();
            let entry = common.join("worktrees").join(tree.file_name().unwrap_or_default());
            (repository.main_checkout().to_owned(), common, entry)
        },
    );
    let file = text(&mail.join(PROMPT));
    // Written before the session starts. Where it can't be read, the agent may still.
    let written =
        mail::read_bounded(&mail, PROMPT).ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok());
    Site {
        program: text(&world.program),
        state: text(&mail.join(AGENT_DIR)),
        mail: text(&mail),
        tree: text(&tree),
        repo: text(&repo),
        git_dir: text(&git),
        common_dir: text(&common),
        prompt: written.unwrap_or_else(|| format!("Read the file {file} and follow it.")),
        prompt_file: file,
    }
}

/// What an agent is given beside what every worker is: its adapter's variables, those of ours
/// that it passes on, and its own, each before the ones before it.
pub(super) fn environment(
    world: &World,
    agent: &Agent,
    composed: Option<&Composed>,
) -> BTreeMap<String, String> {
    let passed = agent.adapter.iter().flat_map(|adapter| adapter.pass.iter());
    let mut env = world.inherited.extras(&passed.map(|name| (name.clone(), None)).collect());
    env.extend(composed.iter().flat_map(|composed| composed.env.clone()));
    env.extend(world.inherited.extras(&agent.env));
    env
}

/// What an agent is asked, whole; none for a task without one.
pub(super) fn prompt(world: &World, state: &RunState, id: &str, refuted: Option<&str>) -> Option<String> {
    let worker = state.workers.get(id)?;
    let planned = state.planned(worker.task);
    let TaskKind::Agent { prompt: written, .. } = &planned.kind else { return None };
    let task = prompt::fill(written, &values(state, planned, refuted));
    // Whoever wrote the prompt may have said where it belongs.
    let refuted = refuted.filter(|_| !prompt::places_refuted(written));
    let review = review_note(state, worker.task);
    let agent = of(state, planned).map(|(agent, _)| agent).filter(|agent| agent.adapter.is_some());
    let Some(agent) = agent else {
        // A program of the user's own knows by itself how to report.
        let parts = [Some(task), refuted.map(str::to_owned), review];
        return Some(parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n"));
    };
    let tree = world.tree(id, planned.workspace == WorkspaceKind::Worktree).display().to_string();
    let left = state.tasks[worker.task].allowed.saturating_sub(worker.attempt);
    let told = Told {
        task,
        review,
        refuted,
        worker: id,
        attempt: worker.attempt,
        attempts_left: Some(u64::from(left)),
        tree: &tree,
        budget: budget(&worker.reserved),
        token: json!(worker.token),
        asks: !agent.oneshot,
    };
    Some(prompt::render(planned, &told))
}

/// Whether a task is given a prompt.
pub(super) fn has_prompt(planned: &Task) -> bool {
    matches!(planned.kind, TaskKind::Agent { .. })
}

fn values<'s>(state: &'s RunState, planned: &'s Task, refuted: Option<&'s str>) -> Values<'s> {
    let needs = planned.needs.iter().filter_map(|need| {
        let needed = &state.tasks[state.task_index(&need.task)?];
        Some((need.task.clone(), (needed.summary.clone(), Value::Object(needed.outputs.clone()))))
    });
    Values { needs: needs.collect(), item: planned.item.as_ref(), refuted }
}

/// What an attempt may spend: what was reserved for it of what is bounded.
fn budget(reserved: &Amounts) -> String {
    let tokens = reserved.tokens.map(|tokens| format!("{tokens} tokens"));
    let usd = reserved
        .usd_micros
        .map(|micros| format!("{}.{:02} US dollars", micros / 1_000_000, micros / 10_000 % 100));
    [tokens, usd].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What an agent that reviews must know: a prompt is written before there is a head.
fn review_note(state: &RunState, task: usize) -> Option<String> {
    let reviewed = *state.reviews.get(&task)?;
    let (id, base) = (&state.planned(reviewed).id, state.base_of(reviewed));
    Some(format!(
        "You review attempt {} of the task `{id}`. This tree stands at its head; what it changed is `git diff {base} HEAD`. \
         Change nothing here. Answer with `ilchul report --status done --output verdict=pass` or `verdict=fail`, \
         and say why with `--summary`.\n",
        state.tasks[reviewed].attempt
    ))
}
