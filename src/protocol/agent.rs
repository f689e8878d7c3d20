//! What a shim is told of the coding agent that it runs.
//!
//! Everything about one agent is data here: names of its signals, paths into what it
//! prints, command lines of further turns. A shim knows no agent by name. It leaves out
//! where the data comes from; placeholders of the first command line are filled in already.
//!
//! Two small languages stand in these texts. A *record pattern* names hook events and
//! records of a stream: `*` is every one, `item.completed` is itself and whatever is below
//! it (`item.completed/command_execution`). A *pick* is `<record pattern>:<path>`, where a
//! path is dotted and a number in it an index: `turn.failed:error.message`, `*:sessionID`.

use super::{Assignment, DROP_BOX, REPORT, REPORT_SCHEMA, ReportStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;

/// The folder inside mail with the files of one agent's attempt.
pub const AGENT_DIR: &str = "agent";
/// What an agent's hooks append there: one JSON object a line.
pub const EVENTS: &str = "events.jsonl";
/// The raw records of a headless agent, there too.
pub const STREAM: &str = "stream.jsonl";

/// One agent as its shim has to run it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// The adapter's name, for messages only.
    pub adapter: String,
    /// Where it shows itself.
    pub mode: AgentMode,
    /// `<mail>/agent`.
    pub state: String,
    /// A file handed over as standard input; none is `/dev/null` headless, the terminal else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Set where standard output is JSON lines; headless only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamRules>,
    /// What its hook events and records mean.
    #[serde(default)]
    pub signals: AgentSignals,
    /// A file that says at the end how it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultFile>,
    /// What counts as "it runs".
    #[serde(default)]
    pub ready: AgentReady,
    /// What ends a turn.
    #[serde(default)]
    pub end: AgentEnd,
    /// Command line of a further turn of the same session, with `{session}` and `{prompt}` or
    /// `{prompt_file}` left in; empty: a further turn is a fresh one. Where neither prompt is
    /// named, the prompt is standard input.
    #[serde(default)]
    pub resume: Vec<String>,
    /// Command line of a further turn without a session; empty: there is no further turn.
    #[serde(default)]
    pub again: Vec<String>,
    /// How a rate limit is told from another failure.
    #[serde(default)]
    pub limits: LimitRules,
    /// Where it says what the work cost.
    #[serde(default)]
    pub usage: Vec<UsageRule>,
    /// Milliseconds from a turn's start to its readiness.
    #[serde(default = "default_ready_ms")]
    pub ready_ms: u64,
    /// Milliseconds from the end of a turn to the end of its process by us.
    #[serde(default = "default_linger_ms")]
    pub linger_ms: u64,
    /// Further turns for one that ended without a report.
    #[serde(default = "default_reminders")]
    pub reminders: u32,
}

/// Where an agent shows itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentMode {
    /// On no terminal: it prints, and ends by itself.
    Headless,
    /// On the session's terminal, with its own interface.
    Terminal,
}

/// What counts as "it runs".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentReady {
    /// That its process was started.
    #[default]
    Process,
    /// That it printed something.
    Output,
    /// A `ready` or `progress` signal, or a change of its result file.
    Event,
}

/// What ends a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentEnd {
    /// The end of its process alone.
    #[default]
    Exit,
    /// That, or a `turn_end` (or `turn_failed`) signal after which nothing happened for `linger_ms`.
    Turn,
}

/// What hook events and stream records mean: lists of record patterns.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentSignals {
    /// It runs, and got past its dialogs.
    pub ready: Vec<String>,
    /// It got further.
    pub progress: Vec<String>,
    /// A tool was started; progress as well.
    pub tool_open: Vec<String>,
    /// A tool has ended; progress as well.
    pub tool_close: Vec<String>,
    /// It waits for a person.
    pub needs_input: Vec<String>,
    /// Its turn is over.
    pub turn_end: Vec<String>,
    /// Its turn failed.
    pub turn_failed: Vec<String>,
    /// Its provider refuses further work for now.
    pub limited: Vec<String>,
}

/// How JSON lines are read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamRules {
    /// Paths whose texts, joined by `/`, are a record's name; what isn't there is left out.
    pub name: Vec<String>,
    /// Path of a list in a record; each object in it is a record of its own, named after both.
    pub each: Option<String>,
    /// As `name`, in such an object.
    pub each_name: Vec<String>,
    /// Picks of the session's id.
    pub session: Vec<String>,
    /// Picks of an error's text.
    pub error: Vec<String>,
    /// How a record is shown; the first that matches. What matches none isn't shown.
    pub show: Vec<ShowRule>,
    /// Patterns of records that aren't kept raw and mean nothing: partial messages, say.
    pub drop: Vec<String>,
}

/// How one kind of record is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowRule {
    /// A record pattern.
    pub on: String,
    /// A line with `{path}` in it; an empty one hides the record.
    pub line: String,
}

/// Where usage stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRule {
    /// A record pattern, of a stream's records or of hook events.
    pub on: String,
    /// Paths whose numbers together are the tokens.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// Path of the dollars.
    #[serde(default)]
    pub usd: Option<String>,
    /// What several such records come to.
    #[serde(default)]
    pub fold: UsageFold,
}

/// What several reports of usage come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsageFold {
    /// Each tells of its turn so far: the last of each turn counts.
    #[default]
    Last,
    /// Each tells of itself: all of them count.
    Sum,
    /// Each tells of the whole session, turns before it as well: the highest counts.
    Session,
}

/// A file of JSON that an agent writes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultFile {
    /// Its path. A change of it is progress.
    pub file: String,
    /// Path of the word that says how it went.
    pub path: String,
    /// Words that mean that the turn went well.
    pub ok: Vec<String>,
    /// Paths whose numbers together are the tokens.
    pub tokens: Vec<String>,
    /// Path of the dollars.
    pub usd: Option<String>,
}

/// How a rate limit is told from another failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitRules {
    /// Texts, in lower case, that an error holds then.
    pub phrases: Vec<String>,
    /// Texts, in lower case, that stand before the time to wait: `try again in 5m`, `retry-after: 30`.
    pub wait: Vec<String>,
    /// Picks of the seconds to wait.
    pub seconds: Vec<String>,
    /// Picks of the second since 1970 at which it ends.
    pub until: Vec<String>,
    /// Milliseconds to wait where nothing says how long.
    pub default_ms: u64,
}

impl Default for LimitRules {
    fn default() -> Self {
        let none = Vec::new;
        Self { phrases: none(), wait: none(), seconds: none(), until: none(), default_ms: default_wait_ms() }
    }
}

/// What an agent is at, as far as anybody outside can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentPhase {
    /// Started, and nothing heard of it yet.
    Starting,
    /// The model's turn.
    Model,
    /// A tool runs.
    Tool,
    /// It waits for a person.
    NeedsInput,
    /// Its turn is over, its process may not be.
    TurnEnded,
    /// It is being ended.
    Ending,
}

impl AgentPhase {
    /// Every phase as it is written.
    pub const WORDS: &'static [&'static str] =
        &["starting", "model", "tool", "needs-input", "turn-ended", "ending"];

    /// As it is written in a heartbeat.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Model => "model",
            Self::Tool => "tool",
            Self::NeedsInput => "needs-input",
            Self::TurnEnded => "turn-ended",
            Self::Ending => "ending",
        }
    }
}

/// The name of what an agent was told at the beginning of its `n`th turn, from 2.
#[must_use]
pub fn turn_name(n: u32) -> String {
    format!("turn-{n}.md")
}

/// What an agent is told where its report is missing: where one goes and what it looks like.
#[must_use]
pub fn how_to_report(assignment: &Assignment, tree: &Path) -> String {
    let Assignment { task, attempt, token, .. } = assignment;
    let skeleton = json!({"schema": REPORT_SCHEMA, "task": task, "attempt": attempt, "token": token,
        "status": "done", "summary": "..."});
    let (file, statuses) = (tree.join(DROP_BOX).join(REPORT), ReportStatus::WORDS.join(", "));
    format!(
        "Run `ilchul report --status done --summary \"...\"`, or write this JSON, filled in, to `{}`:\n\n\
         {skeleton}\n\n`status` is one of {statuses}; where it isn't done, add a `reason`. Everything that you \
         claim is checked, so an honest failure is better than a false success. If you need an answer from a \
         person, report `needs_input` with the question as `reason`, and end your turn.\n",
        file.display()
    )
}

fn default_ready_ms() -> u64 {
    60_000
}

fn default_linger_ms() -> u64 {
    5_000
}

fn default_reminders() -> u32 {
    1
}

fn default_wait_ms() -> u64 {
    60_000
}
