//! The keys of agents: what a workflow says of one, and what an adapter is made of.
//!
//! No key of an adapter is required by its table, because a user's own may name only what
//! differs from one that is there; what must be there in the end is said by the rules.

use super::{Key, Shape, Table, key, required};
use crate::workflow::agent::{Access, Health};

/// Where an agent shows itself.
pub(in crate::workflow) const MODES: &[&str] = &["headless", "terminal"];
/// What counts as "it runs".
pub(in crate::workflow) const READY: &[&str] = &["process", "output", "event"];
/// What ends a turn.
pub(in crate::workflow) const ENDS: &[&str] = &["exit", "turn"];
/// What several reports of usage come to.
pub(in crate::workflow) const FOLDS: &[&str] = &["last", "sum", "session"];

/// Texts in a list.
const TEXTS: Shape = Shape::List(&Shape::Text);

pub(in crate::workflow) static AGENT: Table = Table {
    doc: "How an agent is launched.",
    keys: &[
        required(
            "adapter",
            "The kind of agent; `ilchul agents` lists them. `command` is any program.",
            Shape::Text,
        ),
        key(
            "argv",
            "With `adapter: command`: program and arguments; the prompt is in the file that ILCHUL_PROMPT_FILE names.",
            TEXTS,
        ),
        key("model", "The model, as the agent's own program calls it. Default: its own.", Shape::Text),
        key("args", "Further arguments of the agent's program.", TEXTS),
        key(
            "mode",
            "`terminal` shows the agent's own interface, and needs tmux. Default: headless.",
            Shape::Word(MODES),
        ),
        key(
            "access",
            "What it may do, as far as its own program can be told. Default: worktree.",
            Shape::Word(Access::WORDS),
        ),
        key("env", "Variables for it; null passes ilchul's own value on.", Shape::Env),
    ],
    refused: &[],
};

pub(in crate::workflow) static ADAPTER: Table = Table {
    doc: "A kind of agent: how it is launched and observed. Only what differs, where one of that name is there.",
    keys: &[
        key("schema", "The version of this form.", Shape::Word(&["ilchul.agent/1"])),
        key("like", "Another adapter, whose keys this one has unless it says otherwise.", Shape::Slug),
        key("about", "What it is, in a few words.", Shape::Text),
        key("install", "How its program is had.", Shape::Text),
        key("login", "How a person logs in with it.", Shape::Text),
        key("notes", "What else a person should know before using it, a sentence each.", TEXTS),
        key("verified", "Beginnings of the versions that were tried.", TEXTS),
        key("detect", "What prints its version.", TEXTS),
        key("modes", "Its command lines.", Shape::Table(&LAUNCHES)),
        key(
            "prompt_max",
            "The longest prompt that is handed over as an argument. Default: 64KiB.",
            Shape::Size,
        ),
        key("access", "Arguments for each level that it can be told.", Shape::Table(&LEVELS)),
        key(
            "confines",
            "Levels that its own sandbox really holds it to.",
            Shape::List(&Shape::Word(Access::WORDS)),
        ),
        key("model", "Arguments that name the model, with {model} in them.", TEXTS),
        key("inject", "Arguments that install its hooks, in place of {inject}.", TEXTS),
        key("env", "Variables that it is given.", Shape::Table(&ENV)),
        key("files", "Files in its own folder: a mapping is written as JSON, a text as it is.", Shape::Any),
        key("ready", "What counts as \"it runs\".", Shape::Word(READY)),
        key("ready_within", "The time until then. Default: 60s.", Shape::Duration),
        key("linger", "From the end of a turn to the end of its process. Default: 5s.", Shape::Duration),
        key(
            "health",
            "What shows that it gets further; at least one.",
            Shape::List(&Shape::Word(Health::WORDS)),
        ),
        key("signals", "What its hook events and records mean.", Shape::Table(&SIGNALS)),
        key("stream", "How its output is read where it is JSON lines.", Shape::Table(&STREAM)),
        key("usage", "What the work cost.", Shape::List(&Shape::Table(&USAGE))),
        key("result", "A file of its own that says how it went.", Shape::Table(&RESULT)),
        key("limits", "How a rate limit is told from another failure.", Shape::Table(&RATE)),
    ],
    refused: &[("name", "is the key that the adapter stands under")],
};

pub(in crate::workflow) static LAUNCHES: Table = Table {
    doc: "The command lines of an agent.",
    keys: &[
        key("headless", "On no terminal.", Shape::Table(&LAUNCH)),
        key("terminal", "On the session's terminal.", Shape::Table(&LAUNCH)),
        key("oneshot", "Of a version that nobody has tried: nothing but what every version has.", TEXTS),
    ],
    refused: &[("pane", "is called `terminal`"), ("resume", "stands in the mode that it resumes")],
};

pub(in crate::workflow) static LAUNCH: Table = Table {
    doc: "The command lines of one mode. Without {prompt} and {prompt_file} the prompt is its standard input.",
    keys: &[
        required("argv", "The first turn.", TEXTS),
        key("resume", "A further turn of the same session, with {session} in it.", TEXTS),
        key(
            "ready",
            "What counts as \"it runs\" in this mode, in place of the adapter's.",
            Shape::Word(READY),
        ),
        key(
            "end",
            "What ends a turn: `exit`, or `turn` for one that stays. Default: exit.",
            Shape::Word(ENDS),
        ),
    ],
    refused: &[],
};

pub(in crate::workflow) static LEVELS: Table = Table {
    doc: "Arguments for each level that it can be told.",
    keys: &[
        key("read-only", "Look, and report.", TEXTS),
        key("worktree", "Write in its tree.", TEXTS),
        key("full", "Whatever its user may.", TEXTS),
    ],
    refused: &[],
};

pub(in crate::workflow) static ENV: Table = Table {
    doc: "Variables of an agent; it inherits nothing else but what every worker does.",
    keys: &[
        key("set", "Variables and their values.", Shape::Env),
        key("pass", "Variables of ilchul's own that it is given where they are set.", TEXTS),
    ],
    refused: &[],
};

pub(in crate::workflow) static SIGNALS: Table = Table {
    doc: "Names of hook events and of stream records; `item.completed` is itself and what is below it.",
    keys: &[
        key("ready", "It runs, and got past its dialogs.", TEXTS),
        key("progress", "It got further.", TEXTS),
        key("tool_open", "A tool was started.", TEXTS),
        key("tool_close", "A tool has ended.", TEXTS),
        key("needs_input", "It waits for a person.", TEXTS),
        key("turn_end", "Its turn is over.", TEXTS),
        key("turn_failed", "Its turn failed.", TEXTS),
        key("limited", "Its provider refuses further work for now.", TEXTS),
    ],
    refused: &[],
};

pub(in crate::workflow) static STREAM: Table = Table {
    doc: "How JSON lines are read. A path is dotted; a pick is a record's name, a colon and a path.",
    keys: &[
        required("name", "Paths whose texts, joined by `/`, are a record's name.", TEXTS),
        key("each", "Path of a list in a record; each object in it is a record of its own.", Shape::Text),
        key("each_name", "As `name`, in such an object.", TEXTS),
        key("session", "Picks of the session's id.", TEXTS),
        key("error", "Picks of an error's text.", TEXTS),
        key(
            "show",
            "How a record is shown, by its name; the first that matches.",
            Shape::List(&Shape::Table(&SHOW)),
        ),
        key("drop", "Names of records that aren't kept: those that repeat others at length.", TEXTS),
    ],
    refused: &[],
};

pub(in crate::workflow) static SHOW: Table = Table {
    doc: "How one kind of record is shown.",
    keys: &[
        required("on", "A record's name.", Shape::Text),
        required("line", "A line with {path} in it; an empty one hides it.", Shape::Text),
    ],
    refused: &[],
};

/// Where the tokens and the money stand, in a record or a file.
const TOKENS: Key = key("tokens", "Paths whose numbers together are the tokens.", TEXTS);
const USD: Key = key("usd", "Path of the dollars.", Shape::Text);

pub(in crate::workflow) static USAGE: Table = Table {
    doc: "Where usage stands.",
    keys: &[
        required("on", "A record's or an event's name.", Shape::Text),
        TOKENS,
        USD,
        key(
            "fold",
            "What several come to: the `last` of a turn, their `sum`, or the highest of a `session`. Default: last.",
            Shape::Word(FOLDS),
        ),
    ],
    refused: &[],
};

pub(in crate::workflow) static RESULT: Table = Table {
    doc: "A file of JSON that the agent writes by itself; a change of it is progress.",
    keys: &[
        required("file", "Its path.", Shape::Text),
        required("path", "Path of the word that says how it went.", Shape::Text),
        required("ok", "Words that mean that it went well.", TEXTS),
        TOKENS,
        USD,
    ],
    refused: &[],
};

pub(in crate::workflow) static RATE: Table = Table {
    doc: "How a rate limit is told from another failure.",
    keys: &[
        key("phrases", "Texts, in lower case, that an error holds then.", TEXTS),
        key("wait", "Texts, in lower case, that stand before the time to wait.", TEXTS),
        key("seconds", "Picks of the seconds to wait.", TEXTS),
        key("until", "Picks of the second since 1970 at which it ends.", TEXTS),
        key("default", "The time to wait where nothing says how long. Default: 60s.", Shape::Duration),
    ],
    refused: &[],
};
