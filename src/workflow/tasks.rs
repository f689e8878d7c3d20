//! Reads the tasks: their bodies, with the defaults merged in.
//!
//! Rules between tasks (needs that exist, cycles, bases) come after all bodies
//! are read, in the sibling `dag`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use super::error::Sink;
use super::fields::{Entry, Field, Fields};
use super::items::Surroundings;
use super::keys::{self, KINDS, MAX_TASKS};
use super::model::{
    Agent, Ceiling, Limits, Need, SessionKind, Task, TaskBase, TaskKind, When, WorkspaceKind,
};
use super::place::{Path, quote};
use super::scalar;
use super::take::{any_of, found};
use super::template;
use super::tree::{Node, Span, Value};

/// How long an attempt may take that names no time of its own. Source: contract 3.
const TASK_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What holds for every task that doesn't say otherwise.
pub(super) struct Defaults {
    /// For the whole run: workers of one run share a way to be attached to.
    pub(super) session: Option<SessionKind>,
    pub(super) workspace: WorkspaceKind,
    pub(super) timeout: Duration,
    /// Attempts after the first.
    pub(super) retries: u32,
    /// Tasks add to these, and win.
    pub(super) env: BTreeMap<String, Option<String>>,
    /// For agents and workers alone: a command line spends nothing unless it says so.
    pub(super) budget: Ceiling,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            session: None,
            workspace: WorkspaceKind::Worktree,
            timeout: TASK_TIMEOUT,
            retries: 0,
            env: BTreeMap::new(),
            budget: Ceiling::default(),
        }
    }
}

/// What a task may refer to.
pub(super) struct Scope<'n> {
    pub(super) defaults: &'n Defaults,
    /// Bounds of the whole run, which a task's own must fit into.
    pub(super) limits: &'n Limits,
    /// The agents that could be read.
    pub(super) agents: &'n BTreeMap<String, Agent>,
    /// Every name of `agents`, those that have problems of their own included.
    pub(super) agent_names: &'n BTreeSet<String>,
}

/// A task as far as it could be read, and where its references stand.
pub(super) struct Drafted {
    /// Complete where the file had no problem; else never seen outside of this room.
    pub(super) task: Task,
    /// Where each of its needs stands, in their order, with its index in the file's list.
    pub(super) needs: Vec<(Span, usize)>,
    /// Where the task that it starts from is named.
    pub(super) base: Span,
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
    /// `defaults`, as far as they can be read.
    pub(super) fn defaults(&mut self, at: &Path<'_>, node: &Node<'_>, limits: &Limits) -> Defaults {
        let mut defaults = Defaults::default();
        let Some(body) = self.fields(at, node, &keys::DEFAULTS) else { return defaults };
        if let Some(field) = body.get("session") {
            defaults.session = self.session(&at.key("session"), field.value);
        }
        if let Some(word) = body.get("workspace").and_then(|field| self.word(at, field)) {
            defaults.workspace = workspace(word);
        }
        if let Some(timeout) = body.get("timeout").and_then(|field| self.duration(at, field)) {
            defaults.timeout = timeout;
        }
        if let Some(retries) = body.get("retries").and_then(|field| self.small(at, field)) {
            defaults.retries = retries;
        }
        if let Some(field) = body.get("env") {
            defaults.env = self.env(at, field);
        }
        defaults.budget = self.ceiling(at, &body, limits);
        defaults
    }

    /// A session kind. One that comes later is named, because the contract knows it already.
    fn session(&mut self, at: &Path<'_>, node: &Node<'_>) -> Option<SessionKind> {
        if matches!(&node.value, Value::Scalar { text, .. } if text == "slurm") {
            self.error(at, node.span, "`slurm` sessions are not supported by this version");
            return None;
        }
        let word = self.one_of(at, node, keys::SESSIONS)?;
        Some(if word == "tmux" { SessionKind::Tmux } else { SessionKind::Subprocess })
    }

    /// Every task that could be read, in the order of the file.
    pub(super) fn tasks(&mut self, at: &Path<'_>, node: &Node<'_>, scope: &Scope<'_>) -> Vec<Drafted> {
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
        let defaults = scope.defaults;
        let kind = self.kind(at, entry, &body, scope);
        let budget = if kind.may_spend() { defaults.budget } else { Ceiling::default() };
        let budget = self.ceiling(at, &body, scope.limits).or(budget);
        let is_agent = body.get("agent").is_some();
        let word = body.get("workspace").and_then(|field| self.word(at, field));
        let workspace = word.map_or(defaults.workspace, workspace);
        let (needs, spans) = self.needs(at, &body);
        let (base, base_span) = self.base(at, &body, workspace);
        let mut env = defaults.env.clone();
        // Name by name: a task that sets one variable keeps the others.
        if let Some(field) = body.get("env") {
            env.extend(self.env(at, field));
        }
        // The workspace decides what can be shown, the kind what must be.
        let around = Surroundings { task: entry.span, is_agent, workspace };
        let mut task = Task {
            id: entry.name.to_owned(),
            kind,
            needs,
            when: self.when(at, &body).unwrap_or(When::Completed),
            base,
            workspace,
            env,
            timeout: body
                .get("timeout")
                .and_then(|field| self.duration(at, field))
                .unwrap_or(defaults.timeout),
            retries: body.get("retries").and_then(|field| self.small(at, field)).unwrap_or(defaults.retries),
            budget,
            evidence: self.evidence(at, &body, &around),
            retain: body.get("retain").and_then(|field| self.flag(at, field)).unwrap_or(true),
        };
        if let (Some(field), true) = (body.get("when"), task.needs.is_empty()) {
            self.warn(&at.key("when"), field.span, "`when` has no effect without `needs`");
        }
        if let (TaskKind::Agent { prompt, .. }, Some(field)) = (&mut task.kind, body.get("prompt")) {
            *prompt = template::check(self, &at.key("prompt"), (field.value, prompt), &task.needs);
        }
        Some(Drafted { task, needs: spans, base: base_span })
    }

    /// Exactly one kind; a second one is refused where it stands.
    fn kind(
        &mut self,
        at: &Path<'_>,
        entry: &Entry<'_, '_>,
        body: &Fields<'_, '_>,
        scope: &Scope<'_>,
    ) -> TaskKind {
        let kinds = body.among(KINDS);
        // All of them are named, and the first is read on as if it were alone.
        for second in kinds.iter().skip(1) {
            let message = format!("a second kind beside `{}`: a task does one thing", kinds[0].key.name);
            self.error_with(&at.key(second.key.name), second.span, message, "make it a task of its own");
        }
        let kind = kinds.first().copied();
        if let (Some(prompt), None) = (body.get("prompt"), body.get("agent")) {
            let message = "a prompt only goes with `agent`";
            self.error(&at.key("prompt"), prompt.span, message);
        }
        let Some(kind) = kind else {
            // A kind of a later version was named already, as were a slip of the hand and a lone prompt.
            if !body.stands_for(KINDS, &keys::TASK) && body.get("prompt").is_none() {
                let message = format!("the task does nothing: it needs one of {}", any_of(KINDS));
                self.error_with(at, entry.span, message, "as in `run: cargo test`");
            }
            return TaskKind::Run(String::new());
        };
        let here = at.key(kind.key.name);
        match kind.key.name {
            "argv" => TaskKind::Argv(self.argv(at, kind).unwrap_or_default()),
            "worker" => TaskKind::Worker(self.argv(at, kind).unwrap_or_default()),
            "agent" => self.agent_kind(at, kind, body, scope),
            _ => TaskKind::Run(self.filled(&here, kind.value).unwrap_or_default().to_owned()),
        }
    }

    /// `agent` and `prompt`. An agent that has problems of its own is not named a second time.
    fn agent_kind(
        &mut self,
        at: &Path<'_>,
        kind: Field<'_, '_>,
        body: &Fields<'_, '_>,
        scope: &Scope<'_>,
    ) -> TaskKind {
        let here = at.key("agent");
        let agent = self.slug(&here, kind.value).unwrap_or_default().to_owned();
        if !agent.is_empty() && !scope.agents.contains_key(&agent) && !scope.agent_names.contains(&agent) {
            let message = format!("no agent {} in `agents`", quote(&agent));
            let help = match scalar::nearest(&agent, scope.agent_names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("add it: `agents: {{ {agent}: {{ adapter: command, argv: [...] }} }}`"),
            };
            self.error_with(&here, kind.value.span, message, help);
        }
        let prompt = match body.get("prompt") {
            Some(field) => self.filled(&at.key("prompt"), field.value).unwrap_or_default().to_owned(),
            None => {
                self.error_with(
                    &here,
                    kind.span,
                    "an agent task needs a prompt",
                    "write `prompt:` beside `agent`",
                );
                String::new()
            }
        };
        TaskKind::Agent { agent, prompt }
    }

    /// The policy of a task or of one need.
    fn when(&mut self, at: &Path<'_>, body: &Fields<'_, '_>) -> Option<When> {
        let word = body.get("when").and_then(|field| self.word(at, field));
        word.map(policy)
    }

    /// The needs that could be read, and where each stands.
    fn needs(&mut self, at: &Path<'_>, body: &Fields<'_, '_>) -> (Vec<Need>, Vec<(Span, usize)>) {
        let Some(field) = body.get("needs") else { return (Vec::new(), Vec::new()) };
        let at = at.key("needs");
        let items = self.list(&at, field.value).unwrap_or_default();
        let mut needs: Vec<Need> = Vec::with_capacity(items.len());
        let mut spans = Vec::with_capacity(items.len());
        let mut seen = HashSet::with_capacity(items.len());
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
            if !seen.insert(id) {
                self.error(&at, span, format!("the need `{id}` is given twice"));
                continue;
            }
            needs.push(Need { task: id.to_owned(), when });
            spans.push((span, index));
        }
        (needs, spans)
    }

    /// Where the tree starts, and where that is said. Whether the task is among the needs is seen later.
    fn base(
        &mut self,
        at: &Path<'_>,
        body: &Fields<'_, '_>,
        workspace: WorkspaceKind,
    ) -> (Option<TaskBase>, Span) {
        let Some(field) = body.get("base") else { return (None, Span::default()) };
        let at = at.key("base");
        if workspace == WorkspaceKind::None {
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
