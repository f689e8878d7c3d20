//! Reads one adapter: its keys, over those of the one that it is like.
//!
//! Whether they fit each other is for the sibling `rules` to say.

use std::time::Duration;

use super::super::agent::{Access, Adapter, Health, Launch};
use super::super::error::Sink;
use super::super::fields::{Field, Fields};
use super::super::keys;
use super::super::place::Path;
use super::super::tree::{Node, Span};
use crate::protocol::{AgentEnd, AgentReady, AgentSignals, LimitRules};

/// The longest prompt that is an argument, where nobody says: half of what the kernel takes in one.
const PROMPT_MAX: u64 = 64 * 1024;
/// From the start to readiness.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// From a turn's end to the end of its process.
const LINGER: Duration = Duration::from_secs(5);

impl Sink<'_> {
    /// A user's own adapter, over the one of that name or the one that it says it is like.
    pub(in crate::workflow) fn own_adapter(
        &mut self,
        at: &Path<'_>,
        (name, span): (&str, Span),
        node: &Node<'_>,
    ) -> Option<Adapter> {
        if name == super::super::agent::COMMAND {
            self.error(at, span, "`command` is any program, and has no definition");
            return None;
        }
        let body = self.fields(at, node, &keys::ADAPTER)?;
        let like = match body.get("like") {
            Some(field) => self.slug(&at.key("like"), field.value).map(|word| (word, field.value.span))?,
            None => (name, span),
        };
        let Some(text) = super::text(like.0) else {
            if body.get("like").is_none() {
                return self.adapter_of(at, (name, span), &body);
            }
            let names: Vec<&str> = super::built_in_names().collect();
            let message =
                format!("{} isn't one of those that ilchul brings", super::super::place::quote(like.0));
            self.error_with(&at.key("like"), like.1, message, format!("they are {}", names.join(", ")));
            return None;
        };
        // What is built in has no mistakes (a test reads each), so that nothing is ever said of
        // its text, whose places mean nothing in this file.
        let mut quiet = Sink::new(super::super::place::Source::new(text, 0));
        let root = super::super::tree::parse(text, &mut quiet)?;
        let base = quiet.fields(&Path::ROOT, &root, &keys::ADAPTER)?;
        self.adapter_of(at, (name, span), &body.over(&base, &[]))
    }

    /// An adapter of these keys.
    pub(super) fn adapter_of(
        &mut self,
        at: &Path<'_>,
        (name, span): (&str, Span),
        body: &Fields<'_, '_>,
    ) -> Option<Adapter> {
        let before = self.error_count();
        let words = |sink: &mut Self, key: &str| {
            body.get(key)
                .and_then(|field| sink.filled(&at.key(key), field.value))
                .unwrap_or_default()
                .to_owned()
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (headless, terminal, oneshot) = self.launches(at, body);
        let (env, pass) = self.adapter_env(at, body);
        let adapter = Adapter {
            name: name.to_owned(),
            about: words(self, "about"),
            install: words(self, "install"),
            login: words(self, "login"),
            notes: self.text_list(at, body, "notes"),
            verified: self.text_list(at, body, "verified"),
            detect: body.get("detect").and_then(|field| self.argv(at, field)).unwrap_or_default(),
            headless: headless.unwrap_or_else(|| Launch {
                argv: Vec::new(),
                resume: Vec::new(),
                ready: None,
                end: AgentEnd::Exit,
            }),
            terminal,
            oneshot,
            prompt_max: body.get("prompt_max").and_then(|field| self.size(at, field)).unwrap_or(PROMPT_MAX),
            access: self.levels(at, body),
            confines: self.words(at, body, "confines").into_iter().filter_map(Access::of).collect(),
            model: self.text_list(at, body, "model"),
            inject: self.text_list(at, body, "inject"),
            env,
            pass,
            files: self.files(at, body),
            // That there is one is a rule.
            ready: ready(body.get("ready").and_then(|field| self.word(at, field)).unwrap_or_default()),
            ready_ms: millis(self.time(at, body, "ready_within").unwrap_or(READY_WITHIN)),
            linger_ms: millis(self.time(at, body, "linger").unwrap_or(LINGER)),
            health: self.words(at, body, "health").into_iter().filter_map(health).collect(),
            signals: body.get("signals").map_or_else(AgentSignals::default, |it| self.signals(at, it)),
            stream: body.get("stream").and_then(|field| self.stream(at, field)),
            usage: self.usages(at, body),
            result: body.get("result").and_then(|field| self.result(at, field)),
            limits: body.get("limits").map_or_else(LimitRules::default, |it| self.rate(at, it)),
        };
        self.adapter_rules(at, span, (&adapter, body));
        (self.error_count() == before).then_some(adapter)
    }

    /// Headless, on a terminal, and plain.
    fn launches(
        &mut self,
        at: &Path<'_>,
        body: &Fields<'_, '_>,
    ) -> (Option<Launch>, Option<Launch>, Vec<String>) {
        let Some(field) = body.get("modes") else { return (None, None, Vec::new()) };
        let at = at.key("modes");
        let Some(modes) = self.fields(&at, field.value, &keys::LAUNCHES) else {
            return (None, None, Vec::new());
        };
        let headless = modes.get("headless").and_then(|field| self.launch(&at, field));
        let terminal = modes.get("terminal").and_then(|field| self.launch(&at, field));
        let oneshot = modes.get("oneshot").and_then(|field| self.argv(&at, field)).unwrap_or_default();
        (headless, terminal, oneshot)
    }

    fn launch(&mut self, at: &Path<'_>, field: Field<'_, '_>) -> Option<Launch> {
        let at = at.key(field.key.name);
        let body = self.fields(&at, field.value, &keys::LAUNCH)?;
        let argv = body.get("argv").and_then(|field| self.argv(&at, field));
        let resume = body.get("resume").and_then(|field| self.argv(&at, field)).unwrap_or_default();
        let end = match body.get("end").and_then(|field| self.word(&at, field)) {
            Some("turn") => AgentEnd::Turn,
            // The key table allows no other word.
            Some(_) | None => AgentEnd::Exit,
        };
        let ready = body.get("ready").and_then(|field| self.word(&at, field)).map(ready);
        Some(Launch { argv: argv?, resume, ready, end })
    }
}

fn ready(word: &str) -> AgentReady {
    match word {
        "output" => AgentReady::Output,
        "event" => AgentReady::Event,
        // The key table allows no other word.
        _ => AgentReady::Process,
    }
}

fn health(word: &str) -> Option<Health> {
    let all = [Health::Events, Health::Stream, Health::Result, Health::Output];
    all.into_iter().find(|health| health.word() == word)
}
