//! The one list of the file's keys: the reader and the JSON Schema both use it, so that they can't drift.
//!
//! It says which keys a mapping has, what they mean and which shape their
//! values have. Rules between keys (one kind per task, bounds that depend on
//! each other) live in the reader alone.

mod agent;
mod settings;
mod slurm;
mod task;

pub(super) use agent::{
    ADAPTER, AGENT, ENV as ADAPTER_ENV, LAUNCH, LAUNCHES, LEVELS, RATE, RESULT, SHOW, SIGNALS, STREAM, USAGE,
};
pub(super) use settings::{BELLS, HOST, NOTIFY, SETTINGS, SETTINGS_DEFAULTS};
pub(super) use slurm::{SLURM, TASK_SLURM};

pub(super) use task::{
    APPROVE, BASE, BODY, CLASSIFY, CONTROLS, KINDS, LOOP, MAP, NEED, NESTED, NESTED_KINDS, PLAIN_KINDS,
    REDUCE, TASK, TOURNAMENT,
};

/// A mapping with fixed keys.
pub(super) struct Table {
    /// What the mapping is.
    pub(super) doc: &'static str,
    /// In the order in which people write them.
    pub(super) keys: &'static [Key],
    /// Names that mean something, but not here or not yet, and what to say then.
    pub(super) refused: &'static [(&'static str, &'static str)],
}

/// One key of a mapping.
pub(super) struct Key {
    /// As written in the file.
    pub(super) name: &'static str,
    /// What editors show beside it, the default included.
    pub(super) doc: &'static str,
    /// What its value looks like.
    pub(super) shape: Shape,
    /// Whether the mapping is refused without it.
    pub(super) required: bool,
}

/// What a value looks like.
pub(super) enum Shape {
    /// The number 1.
    Version,
    /// Any scalar but null, its text kept as written.
    Text,
    /// An id.
    Slug,
    /// `true` or `false`.
    Flag,
    /// A whole number within bounds.
    Count(u64, u64),
    /// An amount of money.
    Amount,
    /// A whole number with a unit of time.
    Duration,
    /// Bytes, or a whole number with a unit of them.
    Size,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any number of these.
    List(&'static Shape),
    /// Variables: text or null.
    Env,
    /// A mapping with fixed keys.
    Table(&'static Table),
    /// Ids and what each names.
    Map(&'static Shape),
    /// Any value; scalars as JSON would read them.
    Any,
    /// `TASK.outputs.NAME`.
    OutputOf,
    /// What is chosen between, and lists of what each choice leads to.
    Choices(&'static Shape),
    /// Any of these; the reader tells them apart by their YAML shape.
    Either(&'static [Shape]),
}

/// A key that may be left out.
const fn key(name: &'static str, doc: &'static str, shape: Shape) -> Key {
    Key { name, doc, shape, required: false }
}

/// A key without which the mapping means nothing.
const fn required(name: &'static str, doc: &'static str, shape: Shape) -> Key {
    Key { name, doc, shape, required: true }
}

/// What hosts a worker's process.
pub(super) const SESSIONS: &[&str] = &["tmux", "subprocess", "slurm"];
/// What hosts a worker's files.
pub(super) const WORKSPACES: &[&str] = &["worktree", "none"];
/// What a worker leads to that has been silent for too long.
pub(super) const LOSSES: &[&str] = &["ask", "retry", "fail"];
/// What must have become of the needs.
pub(super) const POLICIES: &[&str] = &["completed", "partial", "terminal", "optional", "failed"];
/// Which of the ready tasks starts first.
pub(super) const ORDERS: &[&str] = &["critical", "fifo"];
/// The kinds of an evidence item: exactly one of these.
pub(super) const ITEMS: &[&str] = &["exit", "command", "diff", "artifact", "log", "review", "approval"];
/// The kinds of a loop's condition: exactly one of these.
pub(super) const CONDITIONS: &[&str] = &["exit", "command", "diff", "artifact", "log", "approval", "output"];

/// The most tasks of a workflow.
pub(super) const MAX_TASKS: usize = 200_000;

/// The most tokens that anything can be bounded to.
const MAX_TOKENS: u64 = 1_000_000_000_000;

pub(super) static WORKFLOW: Table = Table {
    doc: "A workflow of ilchul: tasks, what they need, and the evidence each must show.",
    keys: &[
        required("version", "The version of this format.", Shape::Version),
        key("name", "Shown to people. Default: the file's name.", Shape::Text),
        key("base", "A commit-ish that every task starts from; resolved once. Default: HEAD.", Shape::Text),
        key("defaults", "What holds for every task that doesn't say otherwise.", Shape::Table(&DEFAULTS)),
        key("heartbeat", "How silence is judged.", Shape::Table(&HEARTBEAT)),
        key("limits", "Bounds for the whole run.", Shape::Table(&LIMITS)),
        key("setup", "What every fresh worktree is given before its task.", Shape::Table(&SETUP)),
        key("slurm", "What each job asks of a Slurm cluster.", Shape::Table(&SLURM)),
        key(
            "order",
            "Which ready task starts first: that on the longest chain, or the first in the file. Default: critical.",
            Shape::Word(ORDERS),
        ),
        key("agents", "Agents that tasks may name, by name.", Shape::Map(&Shape::Table(&AGENT))),
        required("tasks", "The tasks, by id; at least one.", Shape::Map(&Shape::Table(&TASK))),
    ],
    refused: &[],
};

// Of `defaults`, a workflow's and the user's own alike.
const SESSION: Key = key(
    "session",
    "What hosts the processes. Default: tmux where there is a terminal.",
    Shape::Word(SESSIONS),
);
const USUAL_WORKSPACE: Key =
    key("workspace", "What hosts the files. Default: worktree.", Shape::Word(WORKSPACES));
const USUAL_TIMEOUT: Key = key("timeout", "An attempt's time. Default: 30m.", Shape::Duration);
const USUAL_RETRIES: Key = key("retries", "Attempts after the first. Default: 0.", Shape::Count(0, 100));
const USUAL_ENV: Key =
    key("env", "Variables for every worker; null passes ilchul's own value on.", Shape::Env);

pub(super) static DEFAULTS: Table = Table {
    doc: "What holds for every task that doesn't say otherwise.",
    keys: &[
        SESSION,
        USUAL_WORKSPACE,
        USUAL_TIMEOUT,
        USUAL_RETRIES,
        USUAL_ENV,
        key("budget", "What an attempt of an agent or worker task may use at most.", Shape::Table(&BUDGET)),
    ],
    refused: &[],
};

pub(super) static HEARTBEAT: Table = Table {
    doc: "How silence is judged.",
    keys: &[
        key("every", "How often a worker beats. Default: 2s.", Shape::Duration),
        key(
            "unhealthy_after",
            "Silence until a worker is shown as unhealthy; at least twice `every`. Default: 10s.",
            Shape::Duration,
        ),
        key(
            "lost_after",
            "Silence until `on_lost` applies; at least `unhealthy_after`. Default: 60s.",
            Shape::Duration,
        ),
        key(
            "stalled_after",
            "Beats without progress until a worker is shown as stalled. Default: 15m.",
            Shape::Duration,
        ),
        key("on_lost", "What a lost worker leads to. Default: ask.", Shape::Word(LOSSES)),
    ],
    refused: &[],
};

pub(super) static LIMITS: Table = Table {
    doc: "Bounds for the whole run.",
    keys: &[
        key(
            "workers",
            "Live workers at once. Default: cores, but at least 2; 20 on Slurm.",
            Shape::Count(1, 1000),
        ),
        key("tasks", "Tasks in the run, submitted ones included.", Shape::Count(1, MAX_TASKS as u64)),
        key("attempts", "Attempts over all tasks.", Shape::Count(1, 1_000_000)),
        key("depth", "Nesting of submitted tasks.", Shape::Count(0, 100)),
        key(
            "wall",
            "The run's own time, from its start; the machine's sleep doesn't count. What hasn't ended then fails.",
            Shape::Duration,
        ),
        key(
            "tokens",
            "Tokens over all tasks; an attempt without a `budget` has all that is free.",
            Shape::Count(1, MAX_TOKENS),
        ),
        key(
            "usd",
            "US dollars over all tasks; an attempt without a `budget` has all that is free.",
            Shape::Amount,
        ),
        key(
            "failures",
            "More failed attempts within a time than these stop the run.",
            Shape::Table(&FAILURES),
        ),
        key("free_disk", "Free space below which nothing new is provisioned.", Shape::Size),
        key("ready", "From a session's start to its worker's readiness. Default: 60s.", Shape::Duration),
        key("start", "From the dispatch to the acknowledgement. Default: 30s.", Shape::Duration),
        key("grace", "Between TERM and KILL. Default: 10s.", Shape::Duration),
    ],
    refused: &[],
};

pub(super) static SETUP: Table = Table {
    doc: "What every fresh worktree is given before its worker is ready; runs once it was approved.",
    keys: &[
        key(
            "include",
            "Untracked files of the main checkout that are copied: paths, folders or globs.",
            Shape::List(&Shape::Text),
        ),
        key("run", "Command lines for sh -c, one after the other, in the tree.", Shape::List(&Shape::Text)),
        key("timeout", "The time of all commands together. Default: 5m.", Shape::Duration),
    ],
    refused: &[],
};

pub(super) static FAILURES: Table = Table {
    doc: "More failed attempts within a time than these stop the run: nothing new starts.",
    keys: &[
        required("max", "So many are borne.", Shape::Count(0, 1_000_000)),
        required("within", "From the first of them to the one too many.", Shape::Duration),
    ],
    refused: &[],
};

pub(super) static BUDGET: Table = Table {
    doc: "What one attempt may use at most: reserved when it starts, settled by what it reports.",
    keys: &[key("tokens", "Tokens.", Shape::Count(1, MAX_TOKENS)), key("usd", "US dollars.", Shape::Amount)],
    refused: &[],
};

pub(super) static ITEM: Table = Table {
    doc: "One thing that ilchul checks itself: exactly one of `exit`, `command`, `diff`, `artifact`, `log`, `review` and `approval`.",
    keys: &[EXIT, COMMAND, MATCH, TIMEOUT, DIFF_ITEM, ARTIFACT, LOG_ITEM, REVIEW_ITEM, APPROVAL_ITEM],
    refused: &[
        ("output", "is a condition of a loop: it goes into `until`"),
        ("equals", "goes with `output`, in the `until` of a loop"),
    ],
};

pub(super) static CONDITION: Table = Table {
    doc: "What must hold for a loop to end: an evidence item, or an output of the report.",
    keys: &[
        EXIT,
        COMMAND,
        MATCH,
        TIMEOUT,
        DIFF_ITEM,
        ARTIFACT,
        LOG_ITEM,
        APPROVAL_ITEM,
        key("output", "The name of an output of the report; goes with `equals`.", Shape::Text),
        key("equals", "With `output`: what it must be.", Shape::Any),
    ],
    refused: &[],
};

/// The short form of `entrants`, whose table entry has two.
pub(super) static ENTRANTS: Key = key("entrants", "How many entrants.", Shape::Count(2, 64));

const EXIT: Key = key("exit", "The child ended by itself with this code.", Shape::Count(0, 255));
const COMMAND: Key = key(
    "command",
    "A line for sh -c, run by ilchul at the judged commit, that must end with 0.",
    Shape::Text,
);
const MATCH: Key =
    key("match", "With `command`: a regular expression that its output must contain.", Shape::Text);
const TIMEOUT: Key = key("timeout", "With `command`: its time. Default: 10m.", Shape::Duration);
const DIFF_ITEM: Key = key("diff", "What changed between the task's base and its head.", Shape::Table(&DIFF));
const ARTIFACT: Key = key("artifact", "A new regular file, by its path in the tree.", Shape::Text);
const LOG_ITEM: Key = key("log", "Text that was written while the task ran.", Shape::Table(&LOG));
const REVIEW_ITEM: Key =
    key("review", "Another task's verdict on this one's head, by its id; it starts there.", Shape::Slug);
const APPROVAL_ITEM: Key =
    key("approval", "A person says yes, once everything else is verified.", Shape::Table(&APPROVAL));

pub(super) static APPROVAL: Table = Table {
    doc: "What a person is asked once everything else is verified.",
    keys: &[required("message", "What they are asked.", Shape::Text)],
    refused: &[],
};

pub(super) static LOG: Table = Table {
    doc: "Text that was written while the task ran, and what it must contain.",
    keys: &[
        required("pattern", "A regular expression that the text must contain.", Shape::Text),
        key(
            "source",
            "`worker` for all that it printed, or the path of a new file in the tree. Default: worker.",
            Shape::Text,
        ),
    ],
    refused: &[],
};

pub(super) static DIFF: Table = Table {
    doc: "What changed between the task's base and its head.",
    keys: &[
        key(
            "paths",
            "Globs; every changed path must match one. Default: any path.",
            Shape::List(&Shape::Text),
        ),
        key("max_lines", "The most added and removed lines together.", Shape::Count(0, 1_000_000_000)),
        key("clean", "Nothing may be left uncommitted. Default: false.", Shape::Flag),
        key("allow_none", "An empty diff is allowed. Default: false.", Shape::Flag),
    ],
    refused: &[],
};
