//! Puts the launch of one attempt together: an adapter's texts with what they stand for here.
//!
//! Pure: where things are comes in, and what is to be written goes out. It leaves out writing it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::protocol::{AgentEnd, AgentMode, AgentReady, AgentSignals, AgentSpec, LimitRules};
use crate::workflow::placeholders::{self, Placeholder};
use crate::workflow::{Adapter, Agent};

/// Further turns for one that ended without a report.
const REMINDERS: u32 = 1;

/// Where one attempt's things are.
#[derive(Debug, Clone, Default)]
pub struct Site {
    /// ilchul's own program.
    pub program: String,
    /// The folder of the agent's own files.
    pub state: String,
    /// The mail folder.
    pub mail: String,
    /// The tree to work in.
    pub tree: String,
    /// The main checkout.
    pub repo: String,
    /// The tree's own git folder.
    pub git_dir: String,
    /// The one that all worktrees share.
    pub common_dir: String,
    /// The file with the prompt.
    pub prompt_file: String,
    /// The prompt itself.
    pub prompt: String,
}

/// One attempt of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    /// The first turn.
    pub argv: Vec<String>,
    /// What the adapter sets; whoever names a variable elsewhere goes before it.
    pub env: BTreeMap<String, String>,
    /// Names and contents of the files in the agent's own folder.
    pub files: Vec<(String, Vec<u8>)>,
    /// What the shim is told.
    pub spec: AgentSpec,
}

/// The launch of an attempt; none for a program of the user's own.
#[must_use]
pub fn compose(agent: &Agent, model: Option<&str>, site: &Site) -> Option<Composed> {
    let adapter = agent.adapter.as_deref()?;
    let fill = Fill { adapter, agent, model: model.or(agent.model.as_deref()), site };
    let (argv, resume) = fill.turns();
    let prompts =
        argv.iter().any(|text| placeholders::has(text, "prompt") || placeholders::has(text, "prompt_file"));
    let spec =
        AgentSpec { stdin: (!prompts).then(|| site.prompt_file.clone()), ..fill.spec(argv.clone(), resume) };
    Some(Composed { argv: fill.prompts(&argv), env: fill.env(), files: fill.files(), spec })
}

/// The names of an adapter's files; empty where it isn't heard.
#[must_use]
pub fn is_heard(agent: &Agent) -> bool {
    agent.adapter.is_some() && !agent.oneshot
}

struct Fill<'a> {
    adapter: &'a Adapter,
    agent: &'a Agent,
    model: Option<&'a str>,
    site: &'a Site,
}

impl Fill<'_> {
    /// First and further turns of the mode, with the prompt and the session left in.
    fn turns(&self) -> (Vec<String>, Vec<String>) {
        if self.agent.oneshot {
            let plain = &self.adapter.oneshot;
            let line = if plain.is_empty() { &self.adapter.headless.argv } else { plain };
            return (self.line(line), Vec::new());
        }
        // A mode that isn't there was refused with the workflow.
        let launch = self.adapter.launch(self.agent.mode).unwrap_or(&self.adapter.headless);
        (self.line(&launch.argv), self.line(&launch.resume))
    }

    /// A command line: lists taken apart, everything but prompt and session filled in.
    fn line(&self, line: &[String]) -> Vec<String> {
        let mut argv = Vec::with_capacity(line.len());
        for text in line {
            match text.as_str() {
                "{inject}" if self.agent.oneshot => {}
                "{inject}" => argv.extend(self.line(&self.adapter.inject)),
                "{access}" => {
                    let level = self.adapter.access.get(&self.agent.access);
                    argv.extend(self.line(level.map(Vec::as_slice).unwrap_or_default()));
                }
                "{model_args}" if self.model.is_some() => argv.extend(self.line(&self.adapter.model)),
                "{model_args}" => {}
                // The user's own words: nothing in them stands for anything.
                "{args}" => argv.extend(self.agent.args.iter().cloned()),
                text => argv.push(self.text(text)),
            }
        }
        argv
    }

    fn text(&self, text: &str) -> String {
        placeholders::fill(text, |found| self.value(found))
    }

    fn value(&self, found: &Placeholder<'_>) -> Option<String> {
        let site = self.site;
        Some(match found.name {
            "state" => site.state.clone(),
            "mail" => site.mail.clone(),
            "tree" => site.tree.clone(),
            "repo" => site.repo.clone(),
            "git_dir" => site.git_dir.clone(),
            "common_dir" => site.common_dir.clone(),
            "ilchul" => site.program.clone(),
            "hook" => self.hook(found.argument?, false),
            "guard" => self.hook(found.argument?, true),
            "model" => self.model?.to_owned(),
            // The prompt is filled in last, because nothing in it stands for anything.
            _ => return None,
        })
    }

    /// The command line, for a shell, that an agent's hook runs.
    fn hook(&self, event: &str, guard: bool) -> String {
        let mut words = vec![self.site.program.as_str(), "hook", event, "--to", self.site.state.as_str()];
        words.extend(guard.then_some("--guard"));
        // A NUL is the only thing that can't be quoted, and no path has one.
        shlex::try_join(words).unwrap_or_default()
    }

    /// A command line with the prompt in it, or where to read it if it is too long.
    fn prompts(&self, argv: &[String]) -> Vec<String> {
        let site = self.site;
        let long = u64::try_from(site.prompt.len()).is_ok_and(|length| length > self.adapter.prompt_max);
        let prompt = if long {
            format!("Read the file {} and follow it.", site.prompt_file)
        } else {
            site.prompt.clone()
        };
        let value = |found: &Placeholder<'_>| match found.name {
            "prompt" => Some(prompt.clone()),
            "prompt_file" => Some(site.prompt_file.clone()),
            _ => None,
        };
        // The user's own arguments may look like a placeholder, and stay what they are.
        let own = |text: &str| self.agent.args.iter().any(|arg| arg == text);
        let fill = |text: &String| if own(text) { text.clone() } else { placeholders::fill(text, value) };
        argv.iter().map(fill).collect()
    }

    fn env(&self) -> BTreeMap<String, String> {
        self.adapter.env.iter().map(|(name, value)| (name.clone(), self.text(value))).collect()
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        if self.agent.oneshot {
            return Vec::new();
        }
        let files = self.adapter.files.iter();
        files
            .map(|(name, value)| {
                let bytes = match value {
                    Value::String(text) => self.text(text).into_bytes(),
                    other => format!("{:#}\n", self.json(other)).into_bytes(),
                };
                (name.clone(), bytes)
            })
            .collect()
    }

    /// The same value with its texts filled in.
    fn json(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Object(fields) => {
                fields.iter().map(|(name, value)| (name.clone(), self.json(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn spec(&self, again: Vec<String>, resume: Vec<String>) -> AgentSpec {
        let adapter = self.adapter;
        let launch = adapter.launch(self.agent.mode).unwrap_or(&adapter.headless);
        let plain = self.agent.oneshot;
        let headless = self.agent.mode == AgentMode::Headless;
        AgentSpec {
            adapter: adapter.name.clone(),
            mode: if plain { AgentMode::Headless } else { self.agent.mode },
            state: self.site.state.clone(),
            stdin: None,
            stream: adapter.stream.clone().filter(|_| headless && !plain),
            signals: if plain { AgentSignals::default() } else { adapter.signals.clone() },
            result: adapter.result.clone().filter(|_| !plain).map(|mut result| {
                result.file = self.text(&result.file);
                result
            }),
            ready: if plain { AgentReady::Process } else { launch.ready.unwrap_or(adapter.ready) },
            end: if plain { AgentEnd::Exit } else { launch.end },
            resume,
            again: if plain { Vec::new() } else { again },
            usage: if plain { Vec::new() } else { adapter.usage.clone() },
            limits: if plain { LimitRules::default() } else { adapter.limits.clone() },
            ready_ms: adapter.ready_ms,
            linger_ms: adapter.linger_ms,
            reminders: if plain { 0 } else { REMINDERS },
        }
    }
}
