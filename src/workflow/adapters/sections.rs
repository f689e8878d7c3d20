//! Reads the sections of an adapter: variables, files, signals, streams, limits.
//!
//! Each is taken as it stands; what it means is for who runs the agent.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::super::agent::Access;
use super::super::error::Sink;
use super::super::fields::{Field, Fields};
use super::super::keys::{self, Shape};
use super::super::place::Path;
use super::super::scalar;
use crate::protocol::{
    AgentSignals, EVENTS, LimitRules, ResultFile, STREAM, ShowRule, StreamRules, UsageFold, UsageRule,
};

/// The longest name of a file.
const MAX_FILE_NAME: usize = 100;

impl Sink<'_> {
    /// A list of texts; none where the key isn't there.
    pub(super) fn text_list(&mut self, at: &Path<'_>, body: &Fields<'_, '_>, key: &str) -> Vec<String> {
        let Some(field) = body.get(key) else { return Vec::new() };
        let at = at.key(field.key.name);
        let items = self.list(&at, field.value).unwrap_or_default().iter().enumerate();
        items.filter_map(|(index, item)| self.text(&at.index(index), item).map(str::to_owned)).collect()
    }

    /// A list of words of its key.
    pub(super) fn words(&mut self, at: &Path<'_>, body: &Fields<'_, '_>, key: &str) -> Vec<&'static str> {
        let Some(field) = body.get(key) else { return Vec::new() };
        let Shape::List(Shape::Word(words)) = field.key.shape else { return Vec::new() };
        let at = at.key(field.key.name);
        let items = self.list(&at, field.value).unwrap_or_default().iter().enumerate();
        items.filter_map(|(index, item)| self.one_of(&at.index(index), item, words)).collect()
    }

    pub(super) fn time(&mut self, at: &Path<'_>, body: &Fields<'_, '_>, key: &str) -> Option<Duration> {
        body.get(key).and_then(|field| self.duration(at, field))
    }

    fn one(&mut self, at: &Path<'_>, body: &Fields<'_, '_>, key: &str) -> Option<String> {
        let field = body.get(key)?;
        self.filled(&at.key(key), field.value).map(str::to_owned)
    }

    pub(super) fn levels(&mut self, at: &Path<'_>, body: &Fields<'_, '_>) -> BTreeMap<Access, Vec<String>> {
        let Some(field) = body.get("access") else { return BTreeMap::new() };
        let at = at.key("access");
        let Some(levels) = self.fields(&at, field.value, &keys::LEVELS) else { return BTreeMap::new() };
        let named = Access::WORDS.iter().filter(|word| levels.get(word).is_some());
        named.filter_map(|word| Some((Access::of(word)?, self.text_list(&at, &levels, word)))).collect()
    }

    /// What is set, and what is passed on. A variable of ilchul's own can be neither.
    pub(super) fn adapter_env(
        &mut self,
        at: &Path<'_>,
        body: &Fields<'_, '_>,
    ) -> (BTreeMap<String, String>, Vec<String>) {
        let Some(field) = body.get("env") else { return (BTreeMap::new(), Vec::new()) };
        let at = at.key("env");
        let Some(inner) = self.fields(&at, field.value, &keys::ADAPTER_ENV) else {
            return (BTreeMap::new(), Vec::new());
        };
        let mut set = BTreeMap::new();
        if let Some(field) = inner.get("set") {
            for (name, value) in self.env(&at, field) {
                match value {
                    Some(value) => drop(set.insert(name, value)),
                    None => {
                        let message = format!("`{name}` has no value: what is passed on is listed in `pass`");
                        self.error(&at.key("set").key(&name), field.value.span, message);
                    }
                }
            }
        }
        let pass = self.text_list(&at, &inner, "pass");
        for (index, name) in pass.iter().enumerate() {
            if let (Err(fault), Some(field)) = (scalar::variable(name), inner.get("pass")) {
                self.error(&at.key("pass").index(index), field.value.span, fault.message);
            }
        }
        (set, pass)
    }

    /// Files of the attempt's own folder, by plain names.
    pub(super) fn files(&mut self, at: &Path<'_>, body: &Fields<'_, '_>) -> BTreeMap<String, Json> {
        let mut files = BTreeMap::new();
        let Some(field) = body.get("files") else { return files };
        let at = at.key("files");
        for entry in self.entries(&at, field.value, "file") {
            let at = at.key(entry.name);
            let plain = entry.name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
            let hidden = entry.name.starts_with('.') || entry.name.is_empty();
            if !plain || hidden || entry.name.len() > MAX_FILE_NAME {
                let message =
                    "the name of a file is made of letters, digits, `.`, `-` and `_`, and begins with no dot";
                self.error(&at, entry.span, message);
            } else if [EVENTS, STREAM].contains(&entry.name) {
                self.error(&at, entry.span, format!("`{}` is written while the agent runs", entry.name));
            }
            if let Some(value) = self.json(&at, entry.value) {
                files.insert(entry.name.to_owned(), value);
            }
        }
        files
    }

    pub(super) fn signals(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> AgentSignals {
        let at = at.key("signals");
        let Some(body) = self.fields(&at, field.value, &keys::SIGNALS) else {
            return AgentSignals::default();
        };
        AgentSignals {
            ready: self.text_list(&at, &body, "ready"),
            progress: self.text_list(&at, &body, "progress"),
            tool_open: self.text_list(&at, &body, "tool_open"),
            tool_close: self.text_list(&at, &body, "tool_close"),
            needs_input: self.text_list(&at, &body, "needs_input"),
            turn_end: self.text_list(&at, &body, "turn_end"),
            turn_failed: self.text_list(&at, &body, "turn_failed"),
            limited: self.text_list(&at, &body, "limited"),
        }
    }

    pub(super) fn stream(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<StreamRules> {
        let at = at.key("stream");
        let body = self.fields(&at, field.value, &keys::STREAM)?;
        let rules = StreamRules {
            name: self.text_list(&at, &body, "name"),
            each: self.one(&at, &body, "each"),
            each_name: self.text_list(&at, &body, "each_name"),
            session: self.text_list(&at, &body, "session"),
            error: self.text_list(&at, &body, "error"),
            show: self.each(&at, &body, "show", Self::show),
            drop: self.text_list(&at, &body, "drop"),
        };
        for (key, picks) in [("session", &rules.session), ("error", &rules.error)] {
            self.picks(&at, (&body, key), picks);
        }
        Some(rules)
    }

    pub(super) fn usages(&mut self, at: &Path<'_>, body: &Fields<'_, '_>) -> Vec<UsageRule> {
        self.each(at, body, "usage", Self::usage)
    }

    /// A list of mappings.
    fn each<T>(
        &mut self,
        at: &Path<'_>,
        body: &Fields<'_, '_>,
        key: &str,
        read: impl Fn(&mut Self, &Path<'_>, &super::super::tree::Node<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(field) = body.get(key) else { return Vec::new() };
        let at = at.key(field.key.name);
        let items = self.list(&at, field.value).unwrap_or_default().iter().enumerate();
        items.filter_map(|(index, item)| read(self, &at.index(index), item)).collect()
    }

    fn show(&mut self, at: &Path<'_>, node: &super::super::tree::Node<'_>) -> Option<ShowRule> {
        let body = self.fields(at, node, &keys::SHOW)?;
        let on = self.one(at, &body, "on");
        // An empty line hides a record, so that it may be empty.
        let line = body.get("line").and_then(|field| self.text(&at.key("line"), field.value));
        Some(ShowRule { on: on?, line: line?.to_owned() })
    }

    fn usage(&mut self, at: &Path<'_>, node: &super::super::tree::Node<'_>) -> Option<UsageRule> {
        let body = self.fields(at, node, &keys::USAGE)?;
        let fold = match body.get("fold").and_then(|field| self.word(at, field)) {
            Some("sum") => UsageFold::Sum,
            Some("session") => UsageFold::Session,
            // The key table allows no other word.
            Some(_) | None => UsageFold::Last,
        };
        let (tokens, usd) = (self.text_list(at, &body, "tokens"), self.one(at, &body, "usd"));
        Some(UsageRule { on: self.one(at, &body, "on")?, tokens, usd, fold })
    }

    pub(super) fn result(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<ResultFile> {
        let at = at.key("result");
        let body = self.fields(&at, field.value, &keys::RESULT)?;
        Some(ResultFile {
            file: self.one(&at, &body, "file")?,
            path: self.one(&at, &body, "path")?,
            ok: self.text_list(&at, &body, "ok"),
            tokens: self.text_list(&at, &body, "tokens"),
            usd: self.one(&at, &body, "usd"),
        })
    }

    pub(super) fn rate(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> LimitRules {
        let at = at.key("limits");
        let mut rules = LimitRules::default();
        let Some(body) = self.fields(&at, field.value, &keys::RATE) else { return rules };
        rules.phrases = self.text_list(&at, &body, "phrases");
        rules.wait = self.text_list(&at, &body, "wait");
        rules.seconds = self.text_list(&at, &body, "seconds");
        rules.until = self.text_list(&at, &body, "until");
        if let Some(time) = self.time(&at, &body, "default") {
            rules.default_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        }
        for (key, picks) in [("seconds", &rules.seconds), ("until", &rules.until)] {
            self.picks(&at, (&body, key), picks);
        }
        for (key, texts) in [("phrases", &rules.phrases), ("wait", &rules.wait)] {
            // They are looked for in errors in lower case, where these would never be found.
            if let (Some(text), Some(field)) =
                (texts.iter().find(|text| text.to_lowercase() != **text), body.get(key))
            {
                self.error(&at.key(key), field.value.span, format!("`{text}` isn't in lower case"));
            }
        }
        rules
    }

    /// Picks name a record, and a path in it.
    fn picks(&mut self, at: &Path<'_>, (body, key): (&Fields<'_, '_>, &str), picks: &[String]) {
        let Some(field) = body.get(key) else { return };
        let is_pick = |pick: &&String| {
            pick.split_once(':').is_some_and(|(on, path)| !on.is_empty() && !path.is_empty())
        };
        if let Some(wrong) = picks.iter().find(|pick| !is_pick(pick)) {
            let message = format!("`{wrong}` is no pick");
            let help = "a pick is a record's name, a colon and a path, as in `turn.failed:error.message`";
            self.error_with(&at.key(key), field.value.span, message, help);
        }
    }
}
