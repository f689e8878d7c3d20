//! Reads the control kinds: what they make, out of which bodies, and which needs they imply.
//!
//! Only what one task says by itself. That implied needs lead somewhere and not
//! in circles is the sibling `dag`'s to see, that ids of children are free the
//! sibling `children`'s; what is made when is the engine's.

use std::collections::{BTreeMap, HashSet};

use super::body::Site;
use super::control::{Loop, Map};
use super::error::Sink;
use super::fields::{Field, Fields};
use super::items::Rule;
use super::keys::{self, CONTROLS};
use super::model::{Evidence, Item, Task, TaskKind, WorkspaceKind};
use super::place::{Path, quote};
use super::scalar;
use super::take::found;
use super::tasks::{Needs, Scope};
use super::tree::{Node, Value};

/// Control tasks inside of each other, the outermost included.
const MAX_DEPTH: usize = 3;
/// Characters of a label: it stands in tables and in lines of people's terminals.
const MAX_LABEL: usize = 63;
/// Names that are compared to find what a mistaken one means.
const MAX_CANDIDATES: usize = 10_000;
/// Elements of a map that names no bound of its own.
const MAP_MAX: u32 = 100;
/// What belongs to a worker, and so to a body.
const WORKERS: &[&str] =
    &["workspace", "env", "timeout", "retries", "budget", "evidence", "reason", "retain"];

/// Whether any of its workers has a tree, which then starts where the task's `base` says.
pub(super) fn has_tree(task: &Task) -> bool {
    match &task.kind {
        TaskKind::Loop(body) => has_tree(&body.each),
        TaskKind::Map(map) => has_tree(&map.each),
        TaskKind::Tournament(cup) => cup.entrants.iter().any(has_tree),
        TaskKind::Approve(_) => false,
        TaskKind::Run(_)
        | TaskKind::Argv(_)
        | TaskKind::Worker(_)
        | TaskKind::Agent { .. }
        | TaskKind::Reduce(_) => task.workspace == WorkspaceKind::Worktree,
    }
}

/// A control task; `workspace` says whether it has a head that others may start from.
pub(super) fn made(kind: TaskKind, workspace: WorkspaceKind) -> Task {
    Task { workspace, evidence: Evidence::Items(vec![Item::Children]), ..Task::new("", kind) }
}

/// Asks that the report answers one of these, besides what is declared.
pub(super) fn ask(task: &mut Task, name: &str, among: Vec<String>) {
    let mut items = task.evidence.items().to_vec();
    items.push(Item::Choice { name: name.to_owned(), among });
    task.evidence = Evidence::Items(items);
}

impl Sink<'_> {
    /// A task of a control kind. One that can't be read becomes one that nobody will see.
    pub(super) fn control(
        &mut self,
        at: &Path<'_>,
        (kind, body): (Field<'_, '_>, &Fields<'_, '_>),
        site: &Site<'_>,
        needs: &mut Needs,
    ) -> Task {
        let name = kind.key.name;
        let here = at.key(name);
        let nothing = || Task::new("", TaskKind::Run(String::new()));
        if site.depth >= MAX_DEPTH {
            let message = format!("control tasks are nested deeper than {MAX_DEPTH} levels");
            self.error_with(&here, kind.span, message, "make the inner ones tasks of their own");
            return nothing();
        }
        if name == "reduce" {
            return self.reduce(at, (kind, body), site, needs).unwrap_or_else(nothing);
        }
        self.strays(at, kind, body);
        let read = match name {
            "loop" => self.loop_kind(&here, kind.value, site, needs),
            "classify" => self.classify(&here, kind.value, site, needs),
            "tournament" => self.tournament(&here, kind.value, site, needs),
            "map" => self.map(&here, kind.value, site, needs),
            // The key table has no other kind.
            _ => self.approve(&here, kind.value),
        };
        read.unwrap_or_else(nothing)
    }

    /// Keys that say something about a worker, where there is none: silently unused they would mislead.
    fn strays(&mut self, at: &Path<'_>, kind: Field<'_, '_>, body: &Fields<'_, '_>) {
        let name = kind.key.name;
        let inner = CONTROLS.iter().find(|(control, _)| *control == name).map(|(_, key)| *key);
        for stray in body.among(WORKERS) {
            let key = stray.key.name;
            let message = format!("`{key}` is about a worker, and `{name}` has none of its own");
            let help = match inner {
                Some("each") if name == "tournament" => "write it in `each` or in `judge`".to_owned(),
                Some(inner) => format!("write it in `{inner}`"),
                None => "leave it out".to_owned(),
            };
            self.error_with(&at.key(key), stray.span, message, help);
        }
    }

    /// `loop`: its conditions become the last items of the body's evidence.
    fn loop_kind(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        site: &Site<'_>,
        needs: &mut Needs,
    ) -> Option<Task> {
        let parts = self.fields(at, node, &keys::LOOP)?;
        let max = parts.get("max").and_then(|field| self.small(at, field));
        let each = parts.get("each").and_then(|field| {
            let inner = site.inner(field.span, &keys::BODY, Rule::Iteration);
            self.body(&at.key("each"), field.value, &inner, needs)
        });
        let workspace = each.as_ref().map_or(WorkspaceKind::Worktree, |each| each.workspace);
        let mut items = each.as_ref().map_or_else(Vec::new, |each| each.evidence.items().to_vec());
        let conditions = parts
            .get("until")
            .map_or(0, |field| self.conditions(&at.key("until"), field.value, workspace, &mut items));
        let each = Task { evidence: Evidence::Items(items), conditions, ..each? };
        Some(made(TaskKind::Loop(Box::new(Loop { max: max?, each })), workspace))
    }

    /// `classify`: the body itself, asked for a label, with what each label leads to.
    fn classify(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        site: &Site<'_>,
        needs: &mut Needs,
    ) -> Option<Task> {
        let parts = self.fields(at, node, &keys::CLASSIFY)?;
        let by = parts.get("by").and_then(|field| {
            let inner = site.inner(field.span, &keys::BODY, Rule::Answer);
            self.body(&at.key("by"), field.value, &inner, needs)
        });
        let mut labels = Vec::new();
        let mut branches = BTreeMap::new();
        if let Some(field) = parts.get("branches") {
            let at = at.key("branches");
            let entries = self.entries(&at, field.value, "label");
            if entries.is_empty() && matches!(field.value.value, Value::Map(_)) {
                self.error(&at, field.value.span, "a classifier has at least one label");
            }
            for entry in entries {
                let at = at.key(entry.name);
                if entry.name.trim().is_empty() {
                    self.error(&at, entry.span, "a label can't be empty");
                } else if entry.name.chars().nth(MAX_LABEL).is_some() {
                    self.error(&at, entry.span, format!("a label has at most {MAX_LABEL} characters"));
                } else if entry.name.chars().any(char::is_control) {
                    self.error(&at, entry.span, "a label is one line without control characters");
                }
                let tasks = self.branch(&at, entry.value, site);
                labels.push(entry.name.to_owned());
                branches.insert(entry.name.to_owned(), tasks);
            }
        }
        let mut task = by?;
        ask(&mut task, "label", labels);
        Some(Task { branches, ..task })
    }

    /// The tasks behind one label.
    fn branch(&mut self, at: &Path<'_>, node: &Node<'_>, site: &Site<'_>) -> Vec<String> {
        let mut tasks = Vec::new();
        let mut seen = HashSet::new();
        for (index, item) in self.list(at, node).unwrap_or_default().iter().enumerate() {
            let at = at.index(index);
            let Some(id) = self.slug(&at, item) else { continue };
            // The key of a task is where its own name stands.
            let is_own = self.source.slice(site.span).trim_matches(['\'', '"']) == id;
            if is_own {
                self.error(&at, item.span, format!("`{id}` can't stand in its own branches"));
            } else if !site.scope.known.contains(id) {
                let help = self.near(id, site.scope);
                let help = help.unwrap_or_else(|| "add that task, or remove it here".to_owned());
                self.error_with(&at, item.span, format!("no task {}", quote(id)), help);
            } else if !seen.insert(id) {
                self.error(&at, item.span, format!("`{id}` stands twice in this branch"));
            }
            tasks.push(id.to_owned());
        }
        tasks
    }

    /// The task that was probably meant, while that is still worth a search.
    fn near(&self, id: &str, scope: &Scope<'_>) -> Option<String> {
        let ids = || scope.ids.iter().copied().take(MAX_CANDIDATES);
        let near = self.suggests().then(|| scalar::nearest(id, ids())).flatten();
        near.map(|near| format!("did you mean `{near}`?"))
    }

    /// `map`: the task whose list it goes through becomes a need.
    fn map(&mut self, at: &Path<'_>, node: &Node<'_>, site: &Site<'_>, needs: &mut Needs) -> Option<Task> {
        let parts = self.fields(at, node, &keys::MAP)?;
        // First, so that prompts in the body may name the task.
        let over = parts.get("over").and_then(|field| {
            let at = at.key("over");
            let (task, output) = self.output_of(&at, field.value)?;
            needs.imply((&task, None), field.value.span, || at.to_string());
            Some((task, output))
        });
        let max = parts.get("max").map_or(Some(MAP_MAX), |field| self.small(at, field));
        let each = parts.get("each").and_then(|field| {
            let inner = site.inner(field.span, &keys::NESTED, Rule::Whole);
            self.body(&at.key("each"), field.value, &Site { has_item: true, ..inner }, needs)
        });
        let (task, output) = over?;
        let map = Map { task, output, max: max?, each: each? };
        // Several trees, and none of them the one to start from.
        Some(made(TaskKind::Map(Box::new(map)), WorkspaceKind::None))
    }

    /// `TASK.outputs.NAME`.
    fn output_of(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<(String, String)> {
        let text = self.text(at, node)?;
        let parts = text.split_once(".outputs.");
        let good = parts.filter(|(task, name)| scalar::slug(task).is_ok() && scalar::is_output(name));
        if good.is_none() {
            let message = format!("{}: a task's output is allowed here", found(node));
            self.error_with(at, node.span, message, "as in `over: plan.outputs.files`");
        }
        good.map(|(task, name)| (task.to_owned(), name.to_owned()))
    }

    /// `reduce`: a worker like any other, but for its inputs and its place.
    fn reduce(
        &mut self,
        at: &Path<'_>,
        (kind, body): (Field<'_, '_>, &Fields<'_, '_>),
        site: &Site<'_>,
        needs: &mut Needs,
    ) -> Option<Task> {
        let here = at.key("reduce");
        let parts = self.fields(&here, kind.value, &keys::REDUCE)?;
        let run = parts.get("run").and_then(|field| self.filled(&here.key("run"), field.value));
        if let Some(field) = parts.get("over") {
            let here = here.key("over");
            let tasks = self.list(&here, field.value).unwrap_or_default();
            if tasks.is_empty() && matches!(field.value.value, Value::List(_)) {
                self.error(&here, field.value.span, "a `reduce` is over at least one task");
            }
            let mut seen = HashSet::new();
            for (index, item) in tasks.iter().enumerate() {
                let here = here.index(index);
                let Some(id) = self.slug(&here, item) else { continue };
                if !seen.insert(id) {
                    self.error(&here, item.span, format!("`{id}` is named twice"));
                }
                needs.imply((id, None), item.span, || here.to_string());
            }
        }
        let kind = TaskKind::Reduce(run.unwrap_or_default().to_owned());
        let mut task = self.worker(at, (body, kind), site, needs);
        // Also where evidence is waived: what it is doesn't depend on what else is shown.
        let mut items = task.evidence.items().to_vec();
        items.push(Item::Reduced);
        task.evidence = Evidence::Items(items);
        Some(task)
    }

    /// `approve`: the same item as in evidence, and nothing else.
    fn approve(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<Task> {
        let field = self.fields(at, node, &keys::APPROVE)?.get("message")?;
        let message = self.filled(&at.key("message"), field.value)?.to_owned();
        let evidence = Evidence::Items(vec![Item::Approval { message: message.clone() }]);
        Some(Task { evidence, ..made(TaskKind::Approve(message), WorkspaceKind::None) })
    }
}
