//! Reads `agents`: which adapter each has, and what the workflow says beside it.
//!
//! The adapter's definition is taken in here, so that a run keeps the one it started with.

use std::collections::{BTreeMap, BTreeSet};

use super::adapters::Catalogue;
use super::agent::{Access, Adapter, Agent, COMMAND};
use super::error::Sink;
use super::fields::{Field, Fields};
use super::keys;
use super::place::{Path, quote};
use super::scalar;
use super::tree::Node;
use crate::protocol::AgentMode;

impl Sink<'_> {
    /// The agents that could be read, and every name.
    pub(super) fn agents(
        &mut self,
        body: &Fields<'_, '_>,
        catalogue: &Catalogue,
    ) -> (BTreeMap<String, Agent>, BTreeSet<String>) {
        let mut agents = BTreeMap::new();
        let mut names = BTreeSet::new();
        let Some(field) = body.get("agents") else { return (agents, names) };
        let at = Path::ROOT.key("agents");
        for entry in self.entries(&at, field.value, "agent") {
            let at = at.key(entry.name);
            // Kept whatever is wrong with it, so that tasks that name it aren't blamed.
            names.insert(entry.name.to_owned());
            if let Err(fault) = scalar::slug(entry.name) {
                self.error(&at, entry.span, format!("{}: {}", quote(entry.name), fault.message));
            }
            if let Some(agent) = self.agent(&at, entry.value, catalogue) {
                agents.insert(entry.name.to_owned(), agent);
            }
        }
        (agents, names)
    }

    fn agent(&mut self, at: &Path<'_>, node: &Node<'_>, catalogue: &Catalogue) -> Option<Agent> {
        let body = self.fields(at, node, &keys::AGENT)?;
        let field = body.get("adapter")?;
        let word = self.text(&at.key("adapter"), field.value)?;
        if word == COMMAND {
            return self.any_program(at, &body, node);
        }
        let adapter = self.known(&at.key("adapter"), (word, field), catalogue)?;
        if let Some(field) = body.get("argv") {
            let message = format!("`argv` belongs to `adapter: command`: `{word}` has its own command line");
            self.error_with(&at.key("argv"), field.span, message, "write further arguments as `args`");
        }
        let model = body.get("model").and_then(|field| self.filled(&at.key("model"), field.value));
        if let (Some(_), Some(field)) = (model, body.get("model").filter(|_| adapter.model.is_empty())) {
            let message = format!("`{word}` can't be told its model by arguments");
            self.error_with(&at.key("model"), field.span, message, "set it by `env`, or in its own settings");
        }
        let args = body.get("args").map(|field| self.arguments(at, field)).unwrap_or_default();
        let mode = self.mode(at, &body, &adapter);
        let access = self.access(at, &body, &adapter);
        let env = body.get("env").map(|field| self.env(at, field)).unwrap_or_default();
        let model = model.map(str::to_owned);
        Some(Agent {
            adapter: Some(Box::new(adapter)),
            model,
            args,
            mode,
            access,
            env,
            ..Agent::command(Vec::new())
        })
    }

    /// A program of the user's own, which nobody knows anything of.
    fn any_program(&mut self, at: &Path<'_>, body: &Fields<'_, '_>, node: &Node<'_>) -> Option<Agent> {
        for name in ["model", "args", "mode", "access"] {
            if let Some(field) = body.get(name) {
                let message = format!("`{name}` means nothing to `adapter: command`");
                let help = "write it into `argv`, as the program itself wants it";
                self.error_with(&at.key(name), field.span, message, help);
            }
        }
        let env = body.get("env").map(|field| self.env(at, field)).unwrap_or_default();
        let Some(field) = body.get("argv") else {
            self.error(at, super::tree::Span::new(node.span.start(), 1), "the key `argv` is missing");
            return None;
        };
        let argv = self.argv(at, field)?;
        Some(Agent { env, ..Agent::command(argv) })
    }

    /// The definition that a word names.
    fn known(
        &mut self,
        at: &Path<'_>,
        (word, field): (&str, Field<'_, '_>),
        catalogue: &Catalogue,
    ) -> Option<Adapter> {
        if let Some(adapter) = catalogue.get(word) {
            return Some(adapter);
        }
        let names = catalogue.names();
        let message = format!("no adapter {}", quote(word));
        let help = match scalar::nearest(word, names.iter().copied().chain([COMMAND])) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {} and {COMMAND}; `ilchul agents` explains them", names.join(", ")),
        };
        self.error_with(at, field.value.span, message, help);
        None
    }

    fn arguments(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Vec<String> {
        let at = at.key(field.key.name);
        let items = self.list(&at, field.value).unwrap_or_default().iter().enumerate();
        items.filter_map(|(index, item)| self.text(&at.index(index), item).map(str::to_owned)).collect()
    }

    fn mode(&mut self, at: &Path<'_>, body: &Fields<'_, '_>, adapter: &Adapter) -> AgentMode {
        let Some(field) = body.get("mode") else { return AgentMode::Headless };
        if self.word(at, field) != Some("terminal") {
            return AgentMode::Headless;
        }
        if adapter.terminal.is_none() {
            let message = format!("`{}` has no terminal mode", adapter.name);
            self.error_with(&at.key("mode"), field.value.span, message, "leave `mode` out");
        }
        AgentMode::Terminal
    }

    fn access(&mut self, at: &Path<'_>, body: &Fields<'_, '_>, adapter: &Adapter) -> Access {
        let Some(field) = body.get("access") else { return Access::default() };
        let Some(access) = self.word(at, field).and_then(Access::of) else { return Access::default() };
        if !adapter.access.contains_key(&access) {
            let message = format!("`{}` can't be told `{}`", adapter.name, access.word());
            let levels: Vec<&str> = adapter.access.keys().map(|level| level.word()).collect();
            let help = format!("it knows {}", super::take::any_of(&levels));
            self.error_with(&at.key("access"), field.value.span, message, help);
        }
        access
    }
}
