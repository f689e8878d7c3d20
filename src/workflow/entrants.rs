//! Reads a `tournament`: its entrants, alike or each a variant of one body, and its judge.
//!
//! Few lines of a file can ask for many entrants, and those of a tournament of
//! tournaments multiply: what they take is counted and bounded here.

use super::body::Site;
use super::control::Tournament;
use super::error::Sink;
use super::fields::{Field, Fields};
use super::items::Rule;
use super::keys::{self, ENTRANTS, NESTED_KINDS};
use super::kinds::{ask, made};
use super::model::{Defaults, Task, TaskKind, WorkspaceKind};
use super::place::Path;
use super::tasks::{Needs, Scope};
use super::tree::{Node, Value};

/// Entrants of one tournament.
const MAX_ENTRANTS: usize = 64;
/// A judge that names a stranger is asked once more.
const JUDGE_RETRIES: u32 = 1;

impl Sink<'_> {
    /// `tournament`.
    pub(super) fn tournament(
        &mut self,
        at: &Path<'_>,
        node: &Node<'_>,
        site: &Site<'_>,
        needs: &mut Needs,
    ) -> Option<Task> {
        let parts = self.fields(at, node, &keys::TOURNAMENT)?;
        let entrants = match (parts.get("entrants"), parts.get("each")) {
            (Some(entrants), Some(each)) => self.entrants(at, (entrants, each), site, needs),
            // What is there is still looked at; what is missing was said.
            (None, Some(each)) => {
                let inner = site.inner(each.span, &keys::NESTED, Rule::Part);
                self.body(&at.key("each"), each.value, &inner, needs);
                None
            }
            (Some(_) | None, None) => None,
        };
        let judge = parts.get("judge").and_then(|field| {
            let inner = site.inner(field.span, &keys::BODY, Rule::Answer);
            self.body(&at.key("judge"), field.value, &inner, needs)
        });
        let (entrants, mut judge) = (entrants?, judge?);
        judge.retries = judge.retries.max(JUDGE_RETRIES);
        ask(&mut judge, "winner", vec!["left".to_owned(), "right".to_owned()]);
        // Whoever wins has the head, so that all of them need a tree for it.
        let all = entrants.iter().all(|entrant| entrant.workspace == WorkspaceKind::Worktree);
        let workspace = if all { WorkspaceKind::Worktree } else { WorkspaceKind::None };
        Some(made(TaskKind::Tournament(Box::new(Tournament { entrants, judge })), workspace))
    }

    /// So many of one body, or one for each variant of it.
    fn entrants(
        &mut self,
        at: &Path<'_>,
        (entrants, each): (Field<'_, '_>, Field<'_, '_>),
        site: &Site<'_>,
        needs: &mut Needs,
    ) -> Option<Vec<Task>> {
        if let Value::List(variants) = &entrants.value.value {
            if !(2..=MAX_ENTRANTS).contains(&variants.len()) {
                let message = format!(
                    "found a list of {}: from 2 to {MAX_ENTRANTS} entrants are allowed",
                    variants.len()
                );
                self.error(&at.key("entrants"), entrants.value.span, message);
                return None;
            }
            return self.variants(at, (variants, each), site, needs);
        }
        let count = self.small(at, Field { key: &ENTRANTS, ..entrants });
        let inner = site.inner(each.span, &keys::NESTED, Rule::Whole);
        let one = self.body(&at.key("each"), each.value, &inner, needs);
        let (count, one) = (count?, one?);
        let count = usize::try_from(count).unwrap_or(MAX_ENTRANTS);
        if !self.takes(at, entrants, site.scope, weight(&one).saturating_mul(count)) {
            return None;
        }
        Some(vec![one; count])
    }

    /// Each part is read by itself first, so that what is wrong with it is named once and where it
    /// stands; what they make together is read only if they are whole.
    fn variants(
        &mut self,
        at: &Path<'_>,
        (variants, each): (&[Node<'_>], Field<'_, '_>),
        site: &Site<'_>,
        needs: &mut Needs,
    ) -> Option<Vec<Task>> {
        let part = |span| site.inner(span, &keys::NESTED, Rule::Part);
        let before = self.error_count();
        let common = self.fields(&at.key("each"), each.value, &keys::NESTED)?;
        self.any_kind(&at.key("each"), &common, &part(each.span), needs);
        let is_whole = self.error_count() == before;
        let mut entrants = Vec::with_capacity(variants.len());
        let list = at.key("entrants");
        for (index, node) in variants.iter().enumerate() {
            let at = list.index(index);
            let before = self.error_count();
            let Some(own) = self.fields(&at, node, &keys::NESTED) else { continue };
            self.any_kind(&at, &own, &part(node.span), needs);
            if !is_whole || self.error_count() != before {
                continue;
            }
            let defaults = self.common_env(&at, (&own, &common), site.scope.defaults);
            let scope = Scope { defaults: &defaults, ..*site.scope };
            let inner = Site { scope: &scope, ..site.inner(node.span, &keys::NESTED, Rule::Whole) };
            let merged = own.over(&common, &left_out(&own));
            let entrant = self.any_kind(&at, &merged, &inner, needs);
            if !self.takes(&list, each, site.scope, weight(&entrant)) {
                return None;
            }
            entrants.push(entrant);
        }
        Some(entrants)
    }

    /// Variables add up name by name: where both parts have some, those of `each` become defaults.
    fn common_env(
        &mut self,
        at: &Path<'_>,
        (own, common): (&Fields<'_, '_>, &Fields<'_, '_>),
        defaults: &Defaults,
    ) -> Defaults {
        let mut defaults = defaults.clone();
        if let (Some(_), Some(field)) = (own.get("env"), common.get("env")) {
            defaults.env.extend(self.env(at, field));
        }
        defaults
    }

    /// Counts what entrants take; says so when it becomes too much.
    fn takes(&mut self, at: &Path<'_>, field: Field<'_, '_>, scope: &Scope<'_>, bytes: usize) -> bool {
        let Some(left) = scope.copies.get().checked_sub(bytes) else {
            // Said once: every tournament behind this one would say it again.
            if scope.copies.replace(0) > 0 {
                let message = "the entrants of this file take more than 16 MiB, each written out";
                let help = "make them fewer, or shorter";
                self.error_with(at, field.span, message, help);
            }
            return false;
        };
        scope.copies.set(left);
        true
    }
}

/// What a variant replaces besides the keys that it has.
fn left_out(own: &Fields<'_, '_>) -> Vec<&'static str> {
    let mut out = Vec::new();
    if let Some(kind) = own.among(NESTED_KINDS).first() {
        out.extend_from_slice(NESTED_KINDS);
        // The name of a model means something to one agent alone.
        out.push("model");
        // A prompt goes with an agent, whichever of them it is.
        if kind.key.name != "agent" {
            out.push("prompt");
        }
    }
    if own.get("evidence").is_some() {
        out.push("reason");
    }
    out
}

/// About the bytes that it takes: as much as it takes in the journal.
fn weight(task: &Task) -> usize {
    serde_json::to_vec(task).map_or(0, |bytes| bytes.len())
}
