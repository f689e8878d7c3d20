//! Reads a body: what one worker does, under which conditions, and what it must show.
//!
//! A task is one, and so is each that a control task holds. What the control
//! kinds add around their bodies is in the sibling `kinds`.

use super::error::Sink;
use super::fields::{Field, Fields};
use super::items::{Rule, Surroundings};
use super::keys::{self, KINDS, NESTED_KINDS, PLAIN_KINDS, Table};
use super::model::{Ceiling, Task, TaskKind, WorkspaceKind};
use super::place::{Path, quote};
use super::scalar;
use super::take::any_of;
use super::tasks::{self, Needs, Scope};
use super::template::{self, Names};
use super::tree::{Node, Span};

/// Where a body stands, and what follows from that.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    /// Its name in the file.
    pub(super) span: Span,
    pub(super) scope: &'a Scope<'a>,
    /// The keys that it may have.
    pub(super) table: &'static Table,
    /// What its evidence is for.
    pub(super) rule: Rule,
    /// Control tasks around it.
    pub(super) depth: usize,
    /// Whether it works on an element of a `map`.
    pub(super) has_item: bool,
}

impl<'a> Site<'a> {
    /// A task of the file.
    pub(super) fn task(span: Span, scope: &'a Scope<'a>) -> Self {
        Self { span, scope, table: &keys::TASK, rule: Rule::Whole, depth: 0, has_item: false }
    }

    /// A body inside of this one.
    pub(super) fn inner(self, span: Span, table: &'static Table, rule: Rule) -> Self {
        Self { span, table, rule, depth: self.depth + 1, ..self }
    }

    /// The kinds that stand in its table.
    pub(super) fn kinds(&self) -> &'static [&'static str] {
        if std::ptr::eq(self.table, &raw const keys::TASK) {
            KINDS
        } else if std::ptr::eq(self.table, &raw const keys::NESTED) {
            NESTED_KINDS
        } else {
            PLAIN_KINDS
        }
    }
}

impl Sink<'_> {
    /// A body inside of another task, without id and needs: it has those of the task that makes it.
    pub(super) fn body(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        site: &Site<'_>,
        needs: &mut Needs,
    ) -> Option<Task> {
        let body = self.fields(at, node, site.table)?;
        let task = self.any_kind(at, &body, site, needs);
        if let (Some(review), Some(field)) = (task.reviewers().next(), body.get("evidence")) {
            let message = format!("`{review}` can't review this: it is asked by a task of the file alone");
            let help = "let a task that needs this one be reviewed, or judge by another kind of item";
            self.error_with(&at.key("evidence"), field.span, message, help);
        }
        Some(task)
    }

    /// What a worker does, or several.
    pub(super) fn any_kind(
        &mut self,
        at: &Path<'_>,
        body: &Fields<'_, '_>,
        site: &Site<'_>,
        needs: &mut Needs,
    ) -> Task {
        let kinds = body.among(site.kinds());
        // All of them are named, and the first is read on as if it were alone.
        for second in kinds.iter().skip(1) {
            let message = format!("a second kind beside `{}`: a task does one thing", kinds[0].key.name);
            self.error_with(&at.key(second.key.name), second.span, message, "make it a task of its own");
        }
        if let (Some(prompt), None) = (body.get("prompt"), body.get("agent"))
            && site.rule != Rule::Part
        {
            self.error(&at.key("prompt"), prompt.span, "a prompt only goes with `agent`");
        }
        if let (Some(model), None) = (body.get("model"), body.get("agent"))
            && site.rule != Rule::Part
        {
            self.error(&at.key("model"), model.span, "a model only goes with `agent`");
        }
        let Some(kind) = kinds.first().copied() else {
            // A kind that isn't allowed here was named already, as were a slip of the hand and a lone prompt.
            let is_named = body.stands_for(site.kinds(), site.table) || body.get("prompt").is_some();
            if !is_named && site.rule != Rule::Part {
                let message = format!("the task does nothing: it needs one of {}", any_of(site.kinds()));
                self.error_with(at, site.span, message, "as in `run: cargo test`");
            }
            return self.worker(at, (body, TaskKind::Run(String::new())), site, needs);
        };
        let here = at.key(kind.key.name);
        let kind = match kind.key.name {
            "argv" => TaskKind::Argv(self.argv(at, kind).unwrap_or_default()),
            "worker" => TaskKind::Worker(self.argv(at, kind).unwrap_or_default()),
            "agent" => self.agent_kind(at, kind, body, site),
            "run" => TaskKind::Run(self.filled(&here, kind.value).unwrap_or_default().to_owned()),
            _ => return self.control(at, (kind, body), site, needs),
        };
        self.worker(at, (body, kind), site, needs)
    }

    /// What one worker does; needs are the task's own to have.
    pub(super) fn worker(
        &mut self,
        at: &Path<'_>,
        (body, mut kind): (&Fields<'_, '_>, TaskKind),
        site: &Site<'_>,
        needs: &Needs,
    ) -> Task {
        let defaults = site.scope.defaults;
        if let Some(field) = body.get("prompt") {
            let text = if let TaskKind::Agent { prompt, .. } = &kind {
                prompt.clone()
            } else if site.rule == Rule::Part {
                // A piece of a body: whose prompt it is stands elsewhere, what it may name is known.
                self.filled(&at.key("prompt"), field.value).unwrap_or_default().to_owned()
            } else {
                String::new()
            };
            let names = Names { needs: needs.list(), has_item: site.has_item };
            let checked = template::check(self, &at.key("prompt"), (field.value, &text), names);
            if let TaskKind::Agent { prompt, .. } = &mut kind {
                *prompt = checked;
            }
        }
        // What is only reduced needs no tree of its own.
        let is_reduced = matches!(kind, TaskKind::Reduce(_));
        let usual = if is_reduced { WorkspaceKind::None } else { defaults.workspace };
        let word = body.get("workspace").and_then(|field| self.word(at, field));
        let workspace = word.map_or(usual, tasks::workspace);
        let mut env = defaults.env.clone();
        // Name by name: a task that sets one variable keeps the others.
        if let Some(field) = body.get("env") {
            env.extend(self.env(at, field));
        }
        // The workspace decides what can be shown, the kind what must be.
        let is_agent = body.get("agent").is_some();
        let around = Surroundings { task: site.span, is_agent, workspace, rule: site.rule };
        let slurm = self.slurm(at, body);
        let timeout =
            body.get("timeout").and_then(|field| self.duration(at, field)).unwrap_or(defaults.timeout);
        self.outlives(at, body, &slurm, timeout);
        let usual = if kind.may_spend() { defaults.budget } else { Ceiling::default() };
        let budget = self.ceiling(at, body, site.scope.limits).or(usual);
        Task {
            workspace,
            env,
            budget,
            slurm,
            timeout,
            retries: body.get("retries").and_then(|field| self.small(at, field)).unwrap_or(defaults.retries),
            evidence: self.evidence(at, body, &around),
            retain: body.get("retain").and_then(|field| self.flag(at, field)).unwrap_or(true),
            ..Task::new("", kind)
        }
    }

    /// `model`: the agent's, told in place of its own.
    fn model(
        &mut self,
        at: &Path<'_>,
        (field, agent): (Field<'_, '_>, &str),
        site: &Site<'_>,
    ) -> Option<String> {
        let at = at.key("model");
        let model = self.filled(&at, field.value)?.to_owned();
        let known = site.scope.agents.get(agent);
        let deaf = known.filter(|agent| agent.adapter.as_ref().is_none_or(|it| it.model.is_empty()));
        if let Some(deaf) = deaf {
            let message = format!("`{}` can't be told its model by arguments", deaf.adapter_name());
            self.error_with(&at, field.value.span, message, "make it an agent of its own in `agents`");
        }
        Some(model)
    }

    /// `agent` and `prompt`. An agent that has problems of its own is not named a second time.
    fn agent_kind(
        &mut self,
        at: &Path<'_>,
        kind: Field<'_, '_>,
        body: &Fields<'_, '_>,
        site: &Site<'_>,
    ) -> TaskKind {
        let here = at.key("agent");
        let scope = site.scope;
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
                if site.rule != Rule::Part {
                    let message = "an agent task needs a prompt";
                    self.error_with(&here, kind.span, message, "write `prompt:` beside `agent`");
                }
                String::new()
            }
        };
        let model = body.get("model").and_then(|field| self.model(at, (field, &agent), site));
        TaskKind::Agent { agent, prompt, model }
    }
}
