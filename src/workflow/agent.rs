//! How one agent of a workflow is launched: its adapter, and what the workflow says beside it.
//!
//! An adapter is data that is frozen with the run: an edit of the settings, or another
//! version of ilchul, changes nothing for a run that goes on. It leaves out how adapters are
//! read and found (`adapters`) and how a launch line is made of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::protocol::{
    AgentEnd, AgentMode, AgentReady, AgentSignals, LimitRules, ResultFile, StreamRules, UsageRule,
};

/// An entry of `agents`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Program and arguments of the adapter `command`, which finds the prompt in the file that
    /// `ILCHUL_PROMPT_FILE` names; empty for every other.
    pub argv: Vec<String>,
    /// The definition; none is the adapter `command`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<Box<Adapter>>,
    /// The model, as the agent's own program calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Further arguments of the agent's program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Where it shows itself.
    #[serde(default = "headless", skip_serializing_if = "is_headless")]
    pub mode: AgentMode,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Access::is_usual")]
    pub access: Access,
    /// Variables for it; a task's own go before them. `None` passes ilchul's own value on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, Option<String>>,
    /// The version of its program as the run started; none where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether that version is one that nobody has tried: it is launched plainly, once, without
    /// anything that only known versions are known to understand.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oneshot: bool,
}

impl Agent {
    /// A program of the user's own.
    #[must_use]
    pub fn command(argv: Vec<String>) -> Self {
        Self {
            argv,
            adapter: None,
            model: None,
            args: Vec::new(),
            mode: AgentMode::Headless,
            access: Access::default(),
            env: BTreeMap::new(),
            version: None,
            oneshot: false,
        }
    }

    /// The name of its adapter.
    #[must_use]
    pub fn adapter_name(&self) -> &str {
        self.adapter.as_ref().map_or(COMMAND, |adapter| adapter.name.as_str())
    }

    /// What shapes its results. How it is launched and which version it has don't.
    #[must_use]
    pub fn shape(&self) -> Map<String, Value> {
        let mut shape = Map::new();
        shape.insert("argv".to_owned(), json!(self.argv));
        // An agent of the user's own has only this, as it always had.
        if let Some(adapter) = &self.adapter {
            shape.insert("adapter".to_owned(), json!(adapter.name));
            shape.insert("model".to_owned(), json!(self.model));
            shape.insert("args".to_owned(), json!(self.args));
            shape.insert("access".to_owned(), json!(self.access));
        }
        if !self.env.is_empty() {
            shape.insert("env".to_owned(), json!(self.env));
        }
        shape
    }
}

/// The adapter that is any program.
pub const COMMAND: &str = "command";

/// What an agent may do, as far as its own program can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Look, and report.
    ReadOnly,
    /// Write in its tree.
    #[default]
    Worktree,
    /// Whatever its user may.
    Full,
}

impl Access {
    /// Every level as it is written.
    pub const WORDS: &'static [&'static str] = &["read-only", "worktree", "full"];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Worktree => "worktree",
            Self::Full => "full",
        }
    }

    /// What a word of [`Self::WORDS`] names.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::ReadOnly, Self::Worktree, Self::Full].into_iter().find(|access| access.word() == word)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// A kind of agent, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adapter {
    /// As workflows name it.
    pub name: String,
    /// What it is, in a few words.
    pub about: String,
    /// How its program is had, in a few words; empty where nobody said.
    pub install: String,
    /// How a person logs in with it; empty where there is nothing to do.
    pub login: String,
    /// What else a person should know, a sentence each.
    pub notes: Vec<String>,
    /// Beginnings of the versions that were tried, in whole numbers: `0.169` is `0.169.3` and not `0.1690`.
    pub verified: Vec<String>,
    /// What prints its version.
    pub detect: Vec<String>,
    /// On no terminal.
    pub headless: Launch,
    /// On the session's terminal; none: it can't.
    pub terminal: Option<Launch>,
    /// The command line of a version that nobody has tried.
    pub oneshot: Vec<String>,
    /// The longest prompt, in bytes, that is handed over as an argument.
    pub prompt_max: u64,
    /// Arguments for each level that it can be told; a level that isn't there is refused.
    pub access: BTreeMap<Access, Vec<String>>,
    /// Levels that its own sandbox really holds it to.
    pub confines: Vec<Access>,
    /// Arguments that name the model, with `{model}` in them.
    pub model: Vec<String>,
    /// Arguments that install its hooks.
    pub inject: Vec<String>,
    /// Variables that it is given.
    pub env: BTreeMap<String, String>,
    /// Variables of ilchul's own that it is given where they are set: credentials, mostly.
    pub pass: Vec<String>,
    /// Files that are written for one attempt: JSON, or a text.
    pub files: BTreeMap<String, Value>,
    /// What counts as "it runs".
    pub ready: AgentReady,
    /// Milliseconds until it must.
    pub ready_ms: u64,
    /// Milliseconds from the end of a turn to the end of its process.
    pub linger_ms: u64,
    /// What shows that it gets further; at least one.
    pub health: Vec<Health>,
    /// What its hook events and records mean.
    pub signals: AgentSignals,
    /// How its output is read where it is JSON lines.
    pub stream: Option<StreamRules>,
    /// Where its hooks and its stream say what the work cost.
    pub usage: Vec<UsageRule>,
    /// A file of its own that says how it went.
    pub result: Option<ResultFile>,
    /// How a rate limit is told.
    pub limits: LimitRules,
}

/// The command lines of one mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The first turn, placeholders left in.
    pub argv: Vec<String>,
    /// A further turn of the same session; empty: it can't go on with one.
    pub resume: Vec<String>,
    /// What counts as "it runs", where the adapter's doesn't hold for this mode.
    pub ready: Option<AgentReady>,
    /// What ends a turn.
    pub end: AgentEnd,
}

/// What shows that an agent gets further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Its hooks' events.
    Events,
    /// The records that it prints.
    Stream,
    /// Changes of its result file.
    Result,
    /// That it prints anything.
    Output,
}

impl Health {
    /// Every way as it is written.
    pub const WORDS: &'static [&'static str] = &["events", "stream", "result", "output"];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Stream => "stream",
            Self::Result => "result",
            Self::Output => "output",
        }
    }
}

impl Adapter {
    /// The command lines of a mode, if it has it.
    #[must_use]
    pub fn launch(&self, mode: AgentMode) -> Option<&Launch> {
        match mode {
            AgentMode::Headless => Some(&self.headless),
            AgentMode::Terminal => self.terminal.as_ref(),
        }
    }

    /// Whether a version is one that was tried.
    #[must_use]
    pub fn knows(&self, version: &str) -> bool {
        self.verified.iter().any(|known| {
            let rest = version.strip_prefix(known.as_str());
            // `0.16` isn't the beginning of `0.169`.
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    }
}

fn headless() -> AgentMode {
    AgentMode::Headless
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_headless(mode: &AgentMode) -> bool {
    *mode == AgentMode::Headless
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_was_kept_by_an_older_version_names_only_a_command() {
        let old: Agent = serde_json::from_str(r#"{"argv": ["./mine", "-x"]}"#).unwrap();
        assert_eq!(old, Agent::command(vec!["./mine".to_owned(), "-x".to_owned()]));
        assert_eq!(serde_json::to_string(&old).unwrap(), r#"{"argv":["./mine","-x"]}"#);
        assert_eq!(old.adapter_name(), COMMAND);
        assert_eq!(json!(old.shape()), json!({"argv": ["./mine", "-x"]}));
    }

    #[test]
    fn every_level_and_way_is_found_by_its_word() {
        for word in Access::WORDS {
            assert_eq!(Access::of(word).map(Access::word), Some(*word));
            assert_eq!(json!(Access::of(word)), json!(word));
        }
        assert_eq!(Access::of("all"), None);
        let all = [Health::Events, Health::Stream, Health::Result, Health::Output];
        assert_eq!(all.map(Health::word), *Health::WORDS);
        assert_eq!(json!(all), json!(Health::WORDS));
    }
}
