//! What effects need to know, taken from the state: launches, assignments, cases.
//!
//! Pure but for the home's names. It leaves out doing them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ilchul_substrate::Request;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::agent;
use super::around;
use super::launch::{self, Job, PROMPT, TreeSetup};
use super::repair::{self, Note};
use super::request;
use super::verify::{self, Case, Git, Reduction};
use super::views::{self, View};
use super::world::{World, handle};
use crate::engine::Engine;
use crate::engine::budget::snapshot::Snapshot;
use crate::engine::event::Outcome;
use crate::engine::evidence::ChildExit;
use crate::engine::state::{RunState, WorkerState};
use crate::protocol::{self, Answer, Assignment, SubmissionAnswer, WORKER_SCHEMA};
use crate::workflow::{Task, TaskKind, Trust, WorkspaceKind};

/// The launch of a worker, where this life knows its nonce.
pub(super) fn launch(world: &World, engine: &Engine, id: &str) -> Option<Job> {
    let state = engine.state();
    let worker = state.workers.get(id)?;
    let planned = state.planned(worker.task);
    let worktree = planned.workspace == WorkspaceKind::Worktree && world.repository.is_some();
    let notes = repair::notes(world, state, worker.task, worker.attempt);
    let refuted = repair::text(&notes);
    Some(Job {
        worker: id.to_owned(),
        attempt: worker.attempt,
        task: planned.id.clone(),
        token: worker.token,
        port: None,
        nonce: engine.nonce(id)?.to_owned(),
        start: worktree.then(|| worker.start.clone()),
        base: state.base_of(worker.task),
        own_worker: match &planned.kind {
            TaskKind::Worker(argv) => Some(argv.clone()),
            TaskKind::Run(_)
            | TaskKind::Argv(_)
            | TaskKind::Agent { .. }
            | TaskKind::Reduce(_)
            | TaskKind::Approve(_)
            | TaskKind::Loop(_)
            | TaskKind::Map(_)
            | TaskKind::Tournament(_) => None,
        },
        extras: extras(world, planned),
        inputs: inputs(state, id, &views::of(&world.home, state, id), &notes),
        prompt: agent::prompt(world, state, id, refuted.as_deref()),
        // They name the prompt by its place alone.
        agent: agent::composed(world, state, id).map(|composed| composed.files),
        views: views::of(&world.home, state, id),
        refuted,
        free_disk: state.workflow().limits.free_disk,
        request: request::of(state, planned),
        exported: request::exported(world, state, planned),
        setup: worktree.then(|| tree_setup(state)).flatten(),
    })
}

/// What was approved for every tree of the run. Without an approval nothing of it is done,
/// whatever the workflow says.
fn tree_setup(state: &RunState) -> Option<TreeSetup> {
    let approval = state.started.setup.as_ref()?;
    let setup = state.workflow().setup.as_ref();
    Some(TreeSetup {
        include: setup.map(|setup| setup.include.clone()).unwrap_or_default(),
        listed: approval.listed.clone(),
        run: setup.map(|setup| setup.run.clone()).unwrap_or_default(),
        timeout: setup.map(|setup| setup.timeout).unwrap_or_default(),
        grace: state.workflow().limits.grace,
    })
}

/// What a worker is told to do.
pub(super) fn assignment(
    world: &World,
    state: &RunState,
    id: &str,
    deadline: Option<String>,
) -> Option<Assignment> {
    let worker = state.workers.get(id)?;
    let planned = state.planned(worker.task);
    let composed = agent::composed(world, state, id);
    let told = agent::of(state, planned).map(|(agent, _)| agent);
    let (argv, is_agent) = match &planned.kind {
        TaskKind::Run(line) => (vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()], false),
        TaskKind::Reduce(line) => (verify::reduce_argv(line, &first_output(world, id)), false),
        TaskKind::Argv(argv) | TaskKind::Worker(argv) => (argv.clone(), false),
        TaskKind::Agent { .. } => {
            let own = || told.map(|agent| agent.argv.clone()).unwrap_or_default();
            (composed.as_ref().map_or_else(own, |composed| composed.argv.clone()), true)
        }
        // Nobody is told to do these: they have no worker.
        TaskKind::Approve(_) | TaskKind::Loop(_) | TaskKind::Map(_) | TaskKind::Tournament(_) => return None,
    };
    let prompt_file = is_agent.then(|| world.home.mail(&world.run, id).join(PROMPT).display().to_string());
    let mut env = told.map(|told| agent::environment(world, told, composed.as_ref())).unwrap_or_default();
    env.extend(extras(world, planned));
    // An agent finds its prompt by name, whatever started the session.
    env.extend(prompt_file.iter().map(|file| ("ILCHUL_PROMPT_FILE".to_owned(), file.clone())));
    Some(Assignment {
        schema: WORKER_SCHEMA.to_owned(),
        run: world.run.clone(),
        task: planned.id.clone(),
        attempt: worker.attempt,
        token: worker.token,
        argv,
        prompt_file,
        env,
        deadline,
        beat_ms: millis(state.workflow().heartbeat.every),
        grace_ms: millis(state.workflow().limits.grace),
        agent: composed.map(|composed| Box::new(composed.spec)),
    })
}

/// What a worker is told of its `n`th submission.
pub(super) fn answer(state: &RunState, id: &str, n: u32) -> Option<SubmissionAnswer> {
    let worker = state.workers.get(id)?;
    let (tasks, refused) = match &worker.submissions.get(&n)?.outcome {
        Outcome::Accepted(tasks) => (tasks.clone(), None),
        Outcome::Refused { index, reason } => (Vec::new(), Some((*index, reason.clone()))),
    };
    let (index, reason) = refused.unzip();
    Some(SubmissionAnswer {
        schema: WORKER_SCHEMA.to_owned(),
        token: worker.token,
        n,
        accepted: index.is_none(),
        tasks,
        index: index.and_then(|index| u32::try_from(index).ok()),
        reason,
    })
}

/// What a worker is told of a person's `n`th answer.
pub(super) fn given(state: &RunState, id: &str, n: u32) -> Option<Answer> {
    let worker = state.workers.get(id)?;
    let place = usize::try_from(n).ok()?.checked_sub(1)?;
    let text = worker.answers.get(place)?.text.clone();
    Some(Answer { schema: WORKER_SCHEMA.to_owned(), token: worker.token, n, text })
}

/// Everything that the checks of an attempt may look at.
pub(super) fn case(world: &World, state: &RunState, id: &str) -> Option<Case> {
    let worker = state.workers.get(id)?;
    let planned = state.planned(worker.task);
    let worktree = planned.workspace == WorkspaceKind::Worktree;
    let tree = world.tree(id, worktree);
    let mail = world.home.mail(&world.run, id);
    let extras = extras(world, planned);
    let job = job_for_environment(world, state, id, worker);
    Some(Case {
        home: world.home.clone(),
        items: planned.evidence.items().to_vec(),
        exit: worker.exit.unwrap_or(ChildExit::Unknown),
        git: git(world, state, id, worker),
        repository: world.repository.clone(),
        env: verify::environment(launch::environment(world, &job, &tree, &mail), &extras),
        tree,
        mail,
        views: views::of(&world.home, state, id),
        reduces: reduction(world, state, id, worker),
        log: world.home.log(&world.run, id),
        checks: world.checks(id),
        claims: worker.report.as_ref().map(|report| report.claims.clone()).unwrap_or_default(),
        outputs: worker.report.as_ref().map(|report| report.outputs.clone()).unwrap_or_default(),
        around: around::words(&request::of(state, planned)),
        grace: state.workflow().limits.grace,
        program: world.program.clone(),
    })
}

/// Where the worker of a `reduce` leaves what it prints: beside its mail, where nobody reads.
fn first_output(world: &World, id: &str) -> PathBuf {
    world.home.mail(&world.run, id).join(protocol::TMP_DIR).join("reduced")
}

fn reduction(world: &World, state: &RunState, id: &str, worker: &WorkerState) -> Option<Reduction> {
    let planned = state.planned(worker.task);
    let TaskKind::Reduce(line) = &planned.kind else { return None };
    let known = planned.needs.iter().filter_map(|need| state.task_index(&need.task));
    let needs = known.map(|index| {
        let task = &state.tasks[index];
        let read = json!({
            "head": task.head, "outputs": task.outputs, "status": task.phase.word(), "summary": task.summary,
        });
        (state.planned(index).id.clone(), read)
    });
    Some(Reduction {
        line: line.clone(),
        inputs: verify::canonical(&needs.collect()),
        first: first_output(world, id),
        timeout: planned.timeout,
    })
}

fn git(world: &World, state: &RunState, id: &str, worker: &WorkerState) -> Option<Git> {
    Some(Git {
        repository: world.repository.clone()?,
        handle: handle(world.mark(id).ok()?, worker.workspace.as_ref()?),
        snapshot: worker.captured.clone().flatten(),
        base: state.base_of(worker.task),
    })
}

fn job_for_environment(world: &World, state: &RunState, id: &str, worker: &WorkerState) -> Job {
    let planned = state.planned(worker.task);
    Job {
        worker: id.to_owned(),
        attempt: worker.attempt,
        task: planned.id.clone(),
        token: worker.token,
        port: worker.port,
        nonce: String::new(),
        start: None,
        base: state.base_of(worker.task),
        own_worker: None,
        extras: extras(world, planned),
        inputs: None,
        // That there is one is all that the environment says of it.
        prompt: agent::has_prompt(planned).then(String::new),
        agent: None,
        views: views::of(&world.home, state, id),
        refuted: None,
        free_disk: None,
        request: Request::default(),
        exported: request::exported(world, state, planned),
        setup: None,
    }
}

/// `inputs.json`, borrowed: a task may need ten thousand others.
#[derive(Serialize)]
struct Inputs<'s> {
    budget: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'s Value>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    judges: Map<String, Value>,
    needs: BTreeMap<&'s str, Needed<'s>>,
    refuted: &'s [Note],
    reviews: Option<Reviews<'s>>,
    schema: &'static str,
}

/// What a reviewer is given beside the tree, which stands at the head.
#[derive(Serialize)]
struct Reviews<'s> {
    attempt: u32,
    base: String,
    #[serde(flatten)]
    shown: Needed<'s>,
    task: &'s str,
}

#[derive(Serialize)]
struct Needed<'s> {
    evidence: Vec<Shown<'s>>,
    head: Option<&'s str>,
    outputs: &'s Map<String, Value>,
    status: &'static str,
    summary: &'s str,
    tree: Option<&'s str>,
    /// Said of untrusted tasks alone: what they answer is somebody's word.
    #[serde(skip_serializing_if = "Trust::is_trusted")]
    trust: Trust,
}

#[derive(Serialize)]
struct Shown<'s> {
    kind: &'s str,
    reason: &'s str,
    verdict: &'static str,
}

/// What needs hand on, what budget is left, and what was refuted last time (contract 3), as
/// JSON; `None` where something has no such form.
fn inputs(state: &RunState, id: &str, views: &[View], notes: &[Note]) -> Option<Vec<u8>> {
    let (task, attempt) = state.workers.get(id).map(|worker| (worker.task, worker.attempt))?;
    let needs = &state.planned(task).needs;
    let known = needs.iter().filter_map(|need| Some((need.task.as_str(), state.task_index(&need.task)?)));
    let inputs = Inputs {
        budget: budget(state, task, attempt),
        item: state.planned(task).item.as_ref(),
        judges: views.iter().map(judged).collect(),
        needs: known.map(|(id, index)| (id, needed(state, index))).collect(),
        refuted: notes,
        reviews: state.reviews.get(&task).map(|reviewed| reviews(state, *reviewed)),
        schema: "ilchul.inputs/1",
    };
    serde_json::to_vec(&inputs).ok()
}

/// One of the heads that a judge compares: whose it is, and where it can be looked at.
fn judged(view: &View) -> (String, Value) {
    (view.side.to_owned(), json!({"task": view.task, "head": view.commit, "tree": view.path}))
}

/// What the run has used, reserved and left as the attempt is launched, and the attempts that
/// its task has left.
fn budget(state: &RunState, task: usize, attempt: u32) -> Value {
    let mut budget = Snapshot::of(state).json();
    let left = state.tasks[task].allowed.saturating_sub(attempt);
    budget.insert("attempts_left".to_owned(), left.into());
    Value::Object(budget)
}

fn needed(state: &RunState, index: usize) -> Needed<'_> {
    let task = &state.tasks[index];
    let place = state.current_worker(index).and_then(|(_, worker)| worker.workspace.as_ref());
    Needed {
        evidence: task
            .evidence
            .iter()
            .map(|checked| Shown {
                kind: &checked.kind,
                reason: &checked.reason,
                verdict: checked.verdict.word(),
            })
            .collect(),
        head: task.head.as_deref(),
        outputs: &task.outputs,
        status: task.phase.word(),
        summary: &task.summary,
        trust: state.planned(index).trust,
        tree: place.and_then(|place| place.fields.get("path")).map(String::as_str),
    }
}

/// The variables of a task: its own, and the element of a `map` that it works on.
fn extras(world: &World, planned: &Task) -> BTreeMap<String, String> {
    let mut extras = world.inherited.extras(&planned.env);
    extras.extend(planned.item.iter().map(|item| ("ILCHUL_ITEM".to_owned(), item.to_string())));
    extras
}

fn reviews(state: &RunState, task: usize) -> Reviews<'_> {
    Reviews {
        attempt: state.tasks[task].attempt,
        base: state.base_of(task),
        shown: needed(state, task),
        task: &state.planned(task).id,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
