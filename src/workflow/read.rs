//! Reads the whole file's mapping into a workflow.
//!
//! It goes through everything that parses, whatever was wrong before: people
//! fix a file once, not once per mistake.

use super::children;
use super::dag;
use super::error::Sink;
use super::fields::{Field, Fields};
use super::keys;
use super::model::{Ceiling, Failures, Heartbeat, Limits, OnLost, Order, Workflow};
use super::place::Path;
use super::scalar;
use super::settings::Settings;
use super::take::{found, is_null};
use super::tasks::Outer;
use super::tree::{Node, Value};

/// Characters of a name: it stands in a tmux status line and in tables.
pub(super) const MAX_NAME: usize = 200;

impl Sink<'_> {
    /// `stem` is the workflow's name where the file has none. `None`: the root isn't a mapping.
    pub(super) fn workflow(&mut self, root: &Node<'_>, stem: &str, settings: &Settings) -> Option<Workflow> {
        let at = Path::ROOT;
        if is_null(root) || !matches!(root.value, Value::Map(_)) {
            let message = format!("{}: a workflow is a mapping with `version: 1` and `tasks`", found(root));
            self.error_with(&at, root.span, message, "`ilchul init` writes one to start from");
            return None;
        }
        let body = self.fields(&at, root, &keys::WORKFLOW)?;
        if let Some(field) = body.get("version") {
            self.version(field);
        }
        let name = body.get("name").and_then(|field| self.name(field));
        let base = body.get("base").and_then(|field| self.run_base(field));
        let limits = self.limits(&body);
        let (session, defaults) = match body.get("defaults") {
            Some(field) => {
                let from = (&limits, settings.defaults.clone());
                self.defaults(&at.key("defaults"), (field.value, &keys::DEFAULTS), from)
            }
            None => (None, settings.defaults.clone()),
        };
        let heartbeat = self.heartbeat(&body);
        let order = match body.get("order").and_then(|field| self.word(&at, field)) {
            Some("fifo") => Order::Fifo,
            // The key table allows no other word.
            Some(_) | None => Order::Critical,
        };
        let slurm = self.slurm(&at, &body);
        self.cluster.clone_from(&slurm);
        let setup = body.get("setup").and_then(|field| self.setup(&at.key("setup"), field.value));
        let (agents, agent_names) = self.agents(&body, &settings.agents);
        // Agents come before tasks whatever the file's order is, because tasks name them.
        let outer =
            Outer { defaults: &defaults, limits: &limits, agents: &agents, agent_names: &agent_names };
        let drafts = match body.get("tasks") {
            Some(field) => self.tasks(&at.key("tasks"), field.value, &outer),
            None => Vec::new(),
        };
        self.task_bound(&body, &limits, drafts.len());
        dag::check(self, &drafts);
        children::check(self, &drafts, 0);
        Some(Workflow {
            name: name.unwrap_or_else(|| stem.to_owned()),
            base,
            session,
            heartbeat,
            limits,
            setup,
            slurm,
            order,
            agents,
            defaults,
            tasks: drafts.into_iter().map(|draft| draft.task).collect(),
        })
    }

    /// Version 1 and no other: a later one may mean other things by the same keys.
    fn version(&mut self, field: Field<'_, '_>) {
        // Only a whole number can be a version to come; all else is a slip.
        let later = match &field.value.value {
            Value::Scalar { text, plain: true } if text == "1" => return,
            Value::Scalar { text, plain: true } => scalar::integer(text, 2, u64::from(u32::MAX)).is_ok(),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => false,
        };
        let help = if later { "use a newer ilchul, or write `version: 1`" } else { "write `version: 1`" };
        let message = format!("{}: this ilchul reads version 1", found(field.value));
        self.error_with(&Path::ROOT.key("version"), field.value.span, message, help);
    }

    /// The name as people will see it in a terminal's status line.
    fn name(&mut self, field: Field<'_, '_>) -> Option<String> {
        let at = Path::ROOT.key("name");
        let text = self.filled(&at, field.value)?;
        if text.chars().nth(MAX_NAME).is_some() {
            self.error(&at, field.value.span, format!("a name has at most {MAX_NAME} characters"));
        } else if text.chars().any(char::is_control) {
            self.error(&at, field.value.span, "a name is one line without control characters");
        }
        Some(text.to_owned())
    }

    /// The commit-ish that all tasks start from.
    fn run_base(&mut self, field: Field<'_, '_>) -> Option<String> {
        let at = Path::ROOT.key("base");
        let text = self.text(&at, field.value)?;
        if let Err(fault) = scalar::commitish(text) {
            self.fault(&at, field.value, fault);
        }
        Some(text.to_owned())
    }

    /// How silence is judged, and that its bounds fit each other.
    fn heartbeat(&mut self, body: &Fields<'_, '_>) -> Heartbeat {
        let mut beat = Heartbeat::default();
        let Some(field) = body.get("heartbeat") else { return beat };
        let at = Path::ROOT.key("heartbeat");
        let Some(body) = self.fields(&at, field.value, &keys::HEARTBEAT) else { return beat };
        for (name, slot) in [
            ("every", &mut beat.every),
            ("unhealthy_after", &mut beat.unhealthy_after),
            ("lost_after", &mut beat.lost_after),
            ("stalled_after", &mut beat.stalled_after),
        ] {
            if let Some(value) = body.get(name).and_then(|field| self.duration(&at, field)) {
                *slot = value;
            }
        }
        if let Some(word) = body.get("on_lost").and_then(|field| self.word(&at, field)) {
            beat.on_lost = match word {
                "retry" => OnLost::Retry,
                "fail" => OnLost::Fail,
                // The key table allows no other word.
                _ => OnLost::Ask,
            };
        }
        // Pointing at the key that was written: the other side may be a default.
        if beat.unhealthy_after < beat.every.saturating_mul(2) {
            let written =
                body.get("unhealthy_after").or_else(|| body.get("every")).map_or(field.span, |it| it.span);
            let message = format!(
                "`unhealthy_after` ({:?}) must be at least twice `every` ({:?})",
                beat.unhealthy_after, beat.every
            );
            self.error_with(&at, written, message, "one late beat isn't an illness");
        }
        if beat.lost_after < beat.unhealthy_after {
            let written = body.get("lost_after").or_else(|| body.get("unhealthy_after"));
            let message = format!(
                "`lost_after` ({:?}) must be at least `unhealthy_after` ({:?})",
                beat.lost_after, beat.unhealthy_after
            );
            self.error(&at, written.map_or(field.span, |it| it.span), message);
        }
        beat
    }

    /// Bounds of the run.
    fn limits(&mut self, body: &Fields<'_, '_>) -> Limits {
        let mut limits = Limits::default();
        let Some(field) = body.get("limits") else { return limits };
        let at = Path::ROOT.key("limits");
        let Some(body) = self.fields(&at, field.value, &keys::LIMITS) else { return limits };
        for (name, slot) in [
            ("workers", &mut limits.workers),
            ("tasks", &mut limits.tasks),
            ("attempts", &mut limits.attempts),
            ("depth", &mut limits.depth),
        ] {
            *slot = body.get(name).and_then(|field| self.small(&at, field));
        }
        for (name, slot) in
            [("ready", &mut limits.ready), ("start", &mut limits.start), ("grace", &mut limits.grace)]
        {
            if let Some(value) = body.get(name).and_then(|field| self.duration(&at, field)) {
                *slot = value;
            }
        }
        limits.wall = body.get("wall").and_then(|field| self.duration(&at, field));
        limits.tokens = body.get("tokens").and_then(|field| self.count(&at, field));
        limits.usd = body.get("usd").and_then(|field| self.amount(&at, field));
        limits.free_disk = body.get("free_disk").and_then(|field| self.size(&at, field));
        limits.failures = body.get("failures").and_then(|field| self.failures(&at, field));
        limits
    }

    /// How many failures stop the run.
    fn failures(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<Failures> {
        let at = at.key("failures");
        let body = self.fields(&at, field.value, &keys::FAILURES)?;
        let max = body.get("max").and_then(|field| self.small(&at, field));
        let within = body.get("within").and_then(|field| self.duration(&at, field));
        Some(Failures { max: max?, within: within? })
    }

    /// What an attempt may use at most; more than there is could never be had.
    pub(super) fn ceiling(&mut self, at: &Path<'_>, body: &Fields<'_, '_>, limits: &Limits) -> Ceiling {
        let Some(field) = body.get("budget") else { return Ceiling::default() };
        let at = at.key("budget");
        let Some(body) = self.fields(&at, field.value, &keys::BUDGET) else { return Ceiling::default() };
        let found = Ceiling {
            tokens: body.get("tokens").and_then(|field| self.count(&at, field)),
            usd: body.get("usd").and_then(|field| self.amount(&at, field)),
        };
        let over = |most: bool, name| body.get(name).filter(|_| most);
        let tokens = found.tokens.zip(limits.tokens).is_some_and(|(own, all)| own > all);
        let usd = found.usd.zip(limits.usd).is_some_and(|(own, all)| own > all);
        for field in [over(tokens, "tokens"), over(usd, "usd")].into_iter().flatten() {
            let name = field.key.name;
            let message = format!("more than `limits.{name}` has for the whole run: it could never start");
            self.error(&at.key(name), field.value.span, message);
        }
        found
    }

    /// A file that can't fit its own bound.
    fn task_bound(&mut self, body: &Fields<'_, '_>, limits: &Limits, count: usize) {
        let (Some(most), Some(field)) = (limits.tasks, body.get("limits")) else { return };
        if usize::try_from(most).is_ok_and(|most| most < count) {
            let at = Path::ROOT.key("limits");
            // The mapping was read without a problem before, else `most` were unknown.
            // The number itself is the place to change.
            let inner = match &field.value.value {
                Value::Map(pairs) => pairs
                    .iter()
                    .find(|(key, _)| matches!(&key.value, Value::Scalar { text, .. } if text == "tasks"))
                    .map(|(_, value)| value.span),
                Value::Scalar { .. } | Value::List(_) => None,
            };
            let message = format!("the file has {count} tasks, more than this limit of {most}");
            let help = format!("write `tasks: {count}` or more");
            self.error_with(&at.key("tasks"), inner.unwrap_or(field.span), message, help);
        }
    }
}
