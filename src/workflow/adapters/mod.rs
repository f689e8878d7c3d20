//! Kinds of agents as data: those that ilchul brings, and the user's own.
//!
//! One reader and one set of rules for both. It leaves out how a launch line is made of one.

pub mod placeholders;
mod read;
mod rules;
mod sections;

use std::collections::BTreeMap;

use super::agent::{Access, Adapter};
use super::error::{Errors, Sink};
use super::keys;
use super::place::Path;
use super::tree::Node;

/// The kinds that ilchul brings, by name; data, and no code.
const BUILT_IN: &[(&str, &str)] = &[
    ("aider", include_str!("../../agents/aider.yaml")),
    ("claude", include_str!("../../agents/claude.yaml")),
    ("codex", include_str!("../../agents/codex.yaml")),
    ("gemini", include_str!("../../agents/gemini.yaml")),
    ("goose", include_str!("../../agents/goose.yaml")),
    ("mini-swe-agent", include_str!("../../agents/mini-swe-agent.yaml")),
    ("opencode", include_str!("../../agents/opencode.yaml")),
    ("pi", include_str!("../../agents/pi.yaml")),
];

/// The names of the kinds that ilchul brings, in their order.
pub(super) fn built_in_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The text of one that ilchul brings.
fn text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// One of the kinds that ilchul brings.
///
/// # Errors
/// Never for the ones that are built in: a test reads each.
pub(super) fn built_in(name: &str) -> Option<Result<Adapter, Errors>> {
    let text = text(name)?;
    let file = format!("{name}.yaml");
    let read = super::parsed(&file, text.as_bytes(), |sink: &mut Sink<'_>, root: &Node<'_>| {
        let body = sink.fields(&Path::ROOT, root, &keys::ADAPTER)?;
        sink.adapter_of(&Path::ROOT, (name, root.span), &body)
    });
    Some(read.map(|(adapter, _)| adapter))
}

/// One of which nothing is known, and which so can be told whatever a workflow says.
fn stand_in(name: &str) -> Option<Adapter> {
    let mut any = built_in(built_in_names().next()?)?.ok()?;
    any.name = name.to_owned();
    any.terminal = Some(any.headless.clone());
    any.model = vec!["{model}".to_owned()];
    any.access = Access::WORDS.iter().filter_map(|word| Some((Access::of(word)?, Vec::new()))).collect();
    Some(any)
}

/// The kinds of agents that a user can name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    /// Those of the user's own settings; one that has the name of a built-in one replaces it.
    pub own: BTreeMap<String, Adapter>,
    /// Another machine has its own: here nobody knows which, nor what they can.
    pub elsewhere: bool,
}

impl Catalogue {
    /// Every name, in its order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = built_in_names()
            .map(|name| -> &str { name })
            .chain(self.own.keys().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The definition under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Adapter> {
        if self.elsewhere {
            return stand_in(name);
        }
        match self.own.get(name) {
            Some(own) => Some(own.clone()),
            None => built_in(name)?.ok(),
        }
    }
}
