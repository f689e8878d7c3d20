//! Reads the tasks: their bodies, with the defaults merged in.
//!
//! Rules between tasks (needs that exist, cycles, bases) come after all bodies
//! are read, in the sibling `dag`.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::body::Site;
use super::branches::{self, Branches};
use super::error::Sink;
use super::fields::{Entry, Fields};
use super::keys::{self, MAX_TASKS};
use super::kinds;
use super::model::{Agent, Defaults, Limits, Need, SessionKind, Task, TaskBase, When, WorkspaceKind};
use super::place::{Path, quote};
use super::reviews::{self, Review};
use super::scalar;
use super::take::found;
use super::tree::{Node, Span, Value};

/// Bytes that all entrants together may take beyond what stands in the file: as much as a file may have.
const MAX_COPIES: usize = 16 * 1024 * 1024;

/// What stands around the tasks.
pub(super) struct Outer<'n> {
    pub(super) defaults: &'n Defaults,
    /// Bounds of the whole run, which a task's own must fit into.
    pub(super) limits: &'n Limits,
    /// The agents that could be read.
    pub(super) agents: &'n BTreeMap<String, Agent>,
    /// Every name of `agents`, those that have problems of their own included.
    pub(super) agent_names: &'n BTreeSet<String>,
}

/// What a task may refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'n> {
    pub(super) defaults: &'n Defaults,
    /// Bounds of the whole run, which a task's own must fit into.
    pub(super) limits: &'n Limits,
    /// The agents that could be read.
    pub(super) agents: &'n BTreeMap<String, Agent>,
    /// Every name of `agents`, those that have problems of their own included.
    pub(super) agent_names: &'n BTreeSet<String>,
    /// Every name of `tasks`, in the order of the file.
    pub(super) ids: &'n [&'n str],
    /// The same, to look one up.
    pub(super) known: &'n HashSet<&'n str>,
    /// Who chooses whether a task goes on, by the task.
    pub(super) branches: &'n Branches<'n>,
    /// Bytes that entrants may still take, who repeat what stands in the file once.
    pub(super) copies: &'n Cell<usize>,
}

/// A task as far as it could be read, and where its references stand.
pub(super) struct Drafted {
    /// Complete where the file had no problem; else never seen outside of this room.
    pub(super) task: Task,
    /// Where its key stands.
    pub(super) span: Span,
    /// Where each of its needs stands, in their order.
    pub(super) needs: Vec<(Span, Place)>,
    /// Where the task that it starts from is named.
    pub(super) base: Span,
    /// Who is to review it.
    pub(super) reviews: Vec<Review>,
}

/// Where a need is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the task's `needs`, by its index there.
    Listed(usize),
    /// Elsewhere, by what stands there: the path as messages show it.
    Implied(String),
}

impl Place {
    /// As messages show it; `needs` is the task's list.
    pub(super) fn path<'p>(&'p self, needs: &'p Path<'p>) -> Path<'p> {
        match self {
            Self::Listed(index) => needs.index(*index),
            Self::Implied(path) => Path::written(path),
        }
    }
}

/// The needs of one task while it is read.
#[derive(Default)]
pub(super) struct Needs {
    list: Vec<Need>,
    places: Vec<(Span, Place)>,
    seen: HashSet<String>,
}

impl Needs {
    /// What prompts may name.
    pub(super) fn list(&self) -> &[Need] {
        &self.list
    }

    /// Adds one; `false` where it is there already.
    fn add(&mut self, (id, when): (&str, Option<When>), span: Span, place: impl FnOnce() -> Place) -> bool {
        let is_new = self.seen.insert(id.to_owned());
        if is_new {
            self.list.push(Need { task: id.to_owned(), when });
            self.places.push((span, place()));
        }
        is_new
    }

    /// Adds one that follows from what stands at `path`. One that is written out keeps its policy.
    pub(super) fn imply(&mut self, need: (&str, Option<When>), span: Span, path: impl FnOnce() -> String) {
        self.add(need, span, || Place::Implied(path()));
    }

    fn parts(self) -> (Vec<Need>, Vec<(Span, Place)>) {
        (self.list, self.places)
    }
}

/// The key table allows these two words only.
pub(super) fn workspace(word: &str) -> WorkspaceKind {
    if word == "none" { WorkspaceKind::None } else { WorkspaceKind::Worktree }
}

/// The policy that a word of the key table names.
fn policy(word: &str) -> When {
    match word {
        "partial" => When::Partial,
        "terminal" => When::Terminal,
        "optional" => When::Optional,
        "failed" => When::Failed,
        // The key table allows no other word.
        _ => When::Completed,
    }
}

impl Sink<'_> {
    /// `defaults`, as far as they can be read, over those that hold without them; the session is one
    /// for the whole run, because its workers share a way to be attached to.
    pub(super) fn defaults(
        &mut self,
        at: &Path<'_>,
        (node, table): (&Node<'_>, &'static keys::Table),
        (limits, mut defaults): (&Limits, Defaults),
    ) -> (Option<SessionKind>, Defaults) {
        let Some(body) = self.fields(at, node, table) else { return (None, defaults) };
        let session = body.get("session").and_then(|field| self.session(&at.key("session"), field.value));
        if let Some(word) = body.get("workspace").and_then(|field| self.word(at, field)) {
            defaults.workspace = workspace(word);
        }
        if let Some(timeout) = body.get("timeout").and_then(|field| self.duration(at, field)) {
            defaults.timeout = timeout;
        }
        if let Some(retries) = body.get("retries").and_then(|field| self.small(at, field)) {
            defaults.retries = retries;
        }
        // Name by name: what sets one variable keeps the others.
        if let Some(field) = body.get("env") {
            defaults.env.extend(self.env(at, field));
        }
        defaults.budget = self.ceiling(at, &body, limits);
        (session, defaults)
    }

    /// A session kind.
    fn session(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<SessionKind> {
        Some(match self.one_of(at, node, keys::SESSIONS)? {
            "tmux" => SessionKind::Tmux,
            "slurm" => SessionKind::Slurm,
            // The key table allows no other word.
            _ => SessionKind::Subprocess,
        })
    }

    /// Every task that could be read, in the order of the file.
    pub(super) fn tasks(&mut self, at: &Path<'_>, node: &Node<'_>, outer: &Outer<'_>) -> Vec<Drafted> {
        // The form of other tools, so that it gets more than a wrong type.
        if let Value::List(_) = &node.value {
            let help = "write each task's id as a key: `tasks: { ID: { run: ... } }`";
            self.error_with(at, node.span, "found a list: a mapping of ids to tasks is allowed here", help);
            return Vec::new();
        }
        let entries = self.entries(at, node, "task");
        if let Value::Map(pairs) = &node.value {
            if pairs.is_empty() {
                self.error(at, node.span, "a workflow has at least one task");
            }
            // Before any body is read, so that the bound also bounds the work.
            if pairs.len() > MAX_TASKS {
                let message = format!("{} tasks: a workflow has at most {MAX_TASKS}", pairs.len());
                self.error_with(at, Span::new(node.span.start(), 1), message, "split the workflow");
                return Vec::new();
            }
        }
        let ids: Vec<&str> = entries.iter().map(|entry| entry.name).collect();
        let known = ids.iter().copied().collect();
        // Before any task is read: what a prompt may name is known only with the implied needs.
        let branches = branches::of(&entries);
        let scope = &Scope {
            defaults: outer.defaults,
            limits: outer.limits,
            agents: outer.agents,
            agent_names: outer.agent_names,
            ids: &ids,
            known: &known,
            branches: &branches,
            copies: &Cell::new(MAX_COPIES),
        };
        let mut drafts = Vec::with_capacity(entries.len());
        for entry in &entries {
            let at = at.key(entry.name);
            if let Err(fault) = scalar::slug(entry.name) {
                let message = format!("{}: {}", quote(entry.name), fault.message);
                match fault.help {
                    Some(help) => self.error_with(&at, entry.span, message, help),
                    None => self.error(&at, entry.span, message),
                }
            }
            drafts.extend(self.task(&at, entry, scope));
        }
        drafts
    }

    /// One task; what can't be read falls back to a default, which nobody will see: the file is refused.
    fn task(&mut self, at: &Path<'_>, entry: &Entry<'_, '_>, scope: &Scope<'_>) -> Option<Drafted> {
        let body = self.fields(at, entry.value, &keys::TASK)?;
        let mut needs = self.needs(at, &body);
        // The tasks behind a label wait for who chooses, whatever else their own policy lets pass.
        for branch in scope.branches.get(entry.name).into_iter().flatten() {
            let when = Some(When::Completed);
            needs.imply((branch.by, when), branch.span, || branch.path());
        }
        let mut task = self.any_kind(at, &body, &Site::task(entry.span, scope), &mut needs);
        let (base, base_span) = self.base(at, &body, kinds::has_tree(&task));
        entry.name.clone_into(&mut task.id);
        task.when = self.when(at, &body).unwrap_or(When::Completed);
        if let Some(field) = body.get("trust")
            && self.word(at, field) == Some("untrusted")
            && let Err(why) = task.distrust()
        {
            self.error(&at.key("trust"), field.span, why);
        }
        task.base = base;
        let (needs, places) = needs.parts();
        task.needs = needs;
        if let (Some(field), true) = (body.get("when"), task.needs.is_empty()) {
            self.warn(&at.key("when"), field.span, "`when` has no effect without `needs`");
        }
        let reviews = body.get("evidence").map(|field| reviews::named(field.value)).unwrap_or_default();
        Some(Drafted { task, span: entry.span, needs: places, base: base_span, reviews })
    }

    /// The policy of a task or of one need.
    fn when(&mut self, at: &Path<'_>, body: &Fields<'_, '_>) -> Option<When> {
        let word = body.get("when").and_then(|field| self.word(at, field));
        word.map(policy)
    }

    /// The needs that could be read, and where each stands.
    fn needs(&mut self, at: &Path<'_>, body: &Fields<'_, '_>) -> Needs {
        let mut needs = Needs::default();
        let Some(field) = body.get("needs") else { return needs };
        let at = at.key("needs");
        let items = self.list(&at, field.value).unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            let at = at.index(index);
            // The short form is an id alone, the long one carries a policy.
            let (id, span, when) = if let Value::Map(_) = &item.value {
                let Some(body) = self.fields(&at, item, &keys::NEED) else { continue };
                let when = self.when(&at, &body);
                let Some(task) = body.get("task") else { continue };
                (self.slug(&at.key("task"), task.value), task.value.span, when)
            } else {
                (self.slug(&at, item), item.span, None)
            };
            // The same need under two policies would be a riddle, not a rule.
            let Some(id) = id else { continue };
            if !needs.add((id, when), span, || Place::Listed(index)) {
                self.error(&at, span, format!("the need `{id}` is given twice"));
            }
        }
        needs
    }

    /// Where the tree starts, and where that is said. Whether the task is among the needs is seen later.
    fn base(&mut self, at: &Path<'_>, body: &Fields<'_, '_>, has_tree: bool) -> (Option<TaskBase>, Span) {
        let Some(field) = body.get("base") else { return (None, Span::default()) };
        let at = at.key("base");
        if !has_tree {
            let help = "leave `base` or `workspace` out";
            self.error_with(&at, field.span, "without a worktree there is nothing to start from", help);
        }
        match &field.value.value {
            Value::Map(_) => {
                let task = self.fields(&at, field.value, &keys::BASE).and_then(|body| body.get("task"));
                let Some(task) = task else { return (None, Span::default()) };
                let id = self.slug(&at.key("task"), task.value).map(|id| TaskBase::Task(id.to_owned()));
                (id, task.value.span)
            }
            Value::List(_) => {
                let message =
                    format!("{}: a commit-ish or {{ task: ID }} is allowed here", found(field.value));
                self.error(&at, field.value.span, message);
                (None, Span::default())
            }
            Value::Scalar { .. } => {
                let Some(text) = self.text(&at, field.value) else { return (None, Span::default()) };
                if let Err(fault) = scalar::commitish(text) {
                    self.fault(&at, field.value, fault);
                }
                (Some(TaskBase::Commit(text.to_owned())), field.value.span)
            }
        }
    }
}
