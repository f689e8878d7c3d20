//! What an adapter must have to be loaded, beyond the form of its keys.
//!
//! Above all: a path by which its readiness is seen, and one by which its health is. Without
//! them a worker could hang and nobody would know.

use super::super::agent::{Access, Adapter, Health, Launch};
use super::super::error::Sink;
use super::super::fields::Fields;
use super::super::place::Path;
use super::super::scalar;
use super::super::tree::Span;
use super::placeholders::{self, LISTS, NAMES};
use crate::protocol::{AgentEnd, AgentReady};

/// Command lines by the keys that they stand under.
type Lines<'a> = Vec<(Vec<&'static str>, &'a [String])>;

impl Sink<'_> {
    /// Everything that must hold between the keys.
    pub(super) fn adapter_rules(
        &mut self,
        at: &Path<'_>,
        span: Span,
        (adapter, body): (&Adapter, &Fields<'_, '_>),
    ) {
        let place = |key: &str| body.get(key).map_or(span, |field| field.span);
        let lines = lines(adapter);
        for key in ["about", "detect", "modes", "access"].into_iter().filter(|key| body.get(key).is_none()) {
            self.error(at, span, format!("the key `{key}` is missing"));
        }
        if body.get("modes").is_some() && adapter.headless.argv.is_empty() {
            self.error(&at.key("modes"), place("modes"), "the key `headless` is missing");
        }
        if body.get("access").is_some() && !adapter.access.contains_key(&Access::Worktree) {
            let help =
                "write `worktree: []` where it can't be told: `confines` says what its sandbox holds it to";
            self.error_with(&at.key("access"), place("access"), "the level `worktree` is missing", help);
        }
        if let Some(level) = adapter.confines.iter().find(|level| !adapter.access.contains_key(level)) {
            let message = format!("`{}` isn't a level of `access`", level.word());
            self.error(&at.key("confines"), place("confines"), message);
        }
        self.readiness(at, span, (adapter, body));
        self.health(at, span, (adapter, body));
        for (keys, line) in &lines {
            self.line(at, place(keys[0]), (keys, line));
        }
        for (mode, launch) in [("headless", Some(&adapter.headless)), ("terminal", adapter.terminal.as_ref())]
        {
            if let Some(launch) = launch.filter(|launch| !launch.argv.is_empty()) {
                self.turns(&at.key("modes").key(mode), place("modes"), (adapter, launch));
            }
        }
        let model = |texts: &[String]| texts.iter().any(|text| placeholders::has(text, "model"));
        if !adapter.model.is_empty() && !model(&adapter.model) {
            self.error(&at.key("model"), place("model"), "{model} isn't in it");
        }
        for (name, value) in adapter.env.iter() {
            self.text_of(&at.key("env").key("set").key(name), place("env"), value);
        }
        if let Some(result) = &adapter.result {
            self.text_of(&at.key("result").key("file"), place("result"), &result.file);
        }
    }

    /// What counts as "it runs", and that it can be seen.
    fn readiness(&mut self, at: &Path<'_>, span: Span, (adapter, body): (&Adapter, &Fields<'_, '_>)) {
        let Some(field) = body.get("ready") else {
            let help = "write `ready: event` with `signals`, or `ready: output`, or `ready: process`";
            self.error_with(at, span, "it has no readiness path: nothing says when it runs", help);
            return;
        };
        let heard = !adapter.signals.ready.is_empty() || adapter.result.is_some();
        let modes = [Some(&adapter.headless), adapter.terminal.as_ref()].into_iter().flatten();
        let by_event = adapter.ready == AgentReady::Event
            || modes.into_iter().any(|launch| launch.ready == Some(AgentReady::Event));
        if by_event && !heard {
            let message =
                "it has no readiness path: `event` needs `signals.ready`, or a `result` that changes";
            self.error(&at.key("ready"), field.value.span, message);
        }
    }

    /// What shows that it gets further, in every mode that it has.
    fn health(&mut self, at: &Path<'_>, span: Span, (adapter, body): (&Adapter, &Fields<'_, '_>)) {
        let Some(field) = body.get("health") else {
            let help = format!("write `health: [{}]` with those that it has", Health::WORDS.join(", "));
            self.error_with(at, span, "it has no health path: nothing shows that it gets further", help);
            return;
        };
        let at = at.key("health");
        if adapter.health.is_empty() {
            self.error(&at, field.value.span, "it has no health path: the list is empty");
        }
        let signals = &adapter.signals;
        let heard = !signals.progress.is_empty() || !signals.tool_open.is_empty();
        for health in &adapter.health {
            let lacks = match health {
                Health::Events if !heard => "`signals.progress`",
                Health::Events if adapter.inject.is_empty() && adapter.files.is_empty() => {
                    "`inject` or `files`, which install its hooks"
                }
                Health::Stream if adapter.stream.is_none() => "`stream`",
                Health::Stream if !heard => "`signals.progress`",
                Health::Result if adapter.result.is_none() => "`result`",
                Health::Events | Health::Stream | Health::Result | Health::Output => continue,
            };
            let message = format!("it has no health path: `{}` needs {lacks}", health.word());
            self.error(&at, field.value.span, message);
        }
        // A stream isn't read on a terminal, where its own interface is painted.
        let silent = adapter.health.iter().all(|health| *health == Health::Stream);
        if adapter.terminal.is_some() && silent && !adapter.health.is_empty() {
            let message = "it has no health path on a terminal: `stream` is read headless alone";
            self.error(&at, field.value.span, message);
        }
    }

    /// Further turns and the end of one.
    fn turns(&mut self, at: &Path<'_>, span: Span, (adapter, launch): (&Adapter, &Launch)) {
        let signals = &adapter.signals;
        if launch.end == AgentEnd::Turn && signals.turn_end.is_empty() {
            self.error(&at.key("end"), span, "`turn` needs `signals.turn_end`");
        }
        let resumes = launch.resume.iter().any(|text| placeholders::has(text, "session"));
        if !launch.resume.is_empty() && !resumes {
            self.error(&at.key("resume"), span, "{session} isn't in it: it would begin another session");
        }
        if launch.argv.iter().any(|text| placeholders::has(text, "session")) {
            self.error(&at.key("argv"), span, "the first turn has no {session} yet");
        }
    }

    /// A command line: placeholders that are known, and lists alone in their argument.
    fn line(&mut self, at: &Path<'_>, span: Span, (keys, line): (&[&'static str], &[String])) {
        let mut names = keys.iter();
        let (Some(first), second, third) = (names.next(), names.next(), names.next()) else { return };
        let at = at.key(first);
        let (inner, deep);
        let at = match (second, third) {
            (Some(second), Some(third)) => {
                inner = at.key(second);
                deep = inner.key(third);
                &deep
            }
            (Some(second), None) => {
                inner = at.key(second);
                &inner
            }
            (None, _) => &at,
        };
        for (index, text) in line.iter().enumerate() {
            let at = at.index(index);
            let whole = placeholders::all(text).next().filter(|found| found.text == text);
            if whole.is_some_and(|found| LISTS.contains(&found.name) && found.argument.is_none()) {
                continue;
            }
            self.text_of(&at, span, text);
        }
    }

    /// One text: nothing in it that nobody would fill in.
    fn text_of(&mut self, at: &Path<'_>, span: Span, text: &str) {
        for found in placeholders::all(text) {
            let takes = matches!(found.name, "hook" | "guard");
            if LISTS.contains(&found.name) {
                self.error(
                    at,
                    span,
                    format!("{} stands for several arguments, and only alone in one", found.text),
                );
            } else if !NAMES.contains(&found.name) {
                let message = format!("unknown placeholder {}", found.text);
                match scalar::nearest(found.name, NAMES.iter().chain(LISTS).copied()) {
                    Some(near) => self.error_with(at, span, message, format!("did you mean {{{near}}}?")),
                    None => self.error(at, span, message),
                }
            } else if takes != found.argument.is_some() {
                let how =
                    if takes { "needs the name of an event, as in {hook:Stop}" } else { "takes no argument" };
                self.error(at, span, format!("{} {how}", found.text));
            }
        }
    }
}

/// Every list of arguments, by the keys that lead to it.
fn lines(adapter: &Adapter) -> Lines<'_> {
    let mut lines: Lines<'_> = vec![(vec!["inject"], &adapter.inject), (vec!["model"], &adapter.model)];
    lines.push((vec!["modes", "oneshot"], &adapter.oneshot));
    lines.push((vec!["modes", "headless", "argv"], &adapter.headless.argv));
    lines.push((vec!["modes", "headless", "resume"], &adapter.headless.resume));
    if let Some(terminal) = &adapter.terminal {
        lines.push((vec!["modes", "terminal", "argv"], &terminal.argv));
        lines.push((vec!["modes", "terminal", "resume"], &terminal.resume));
    }
    lines.extend(adapter.access.iter().map(|(level, line)| (vec!["access", level.word()], line.as_slice())));
    lines
}
