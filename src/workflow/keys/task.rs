//! The keys of a task and of what stands in one: needs, bases, control kinds and their bodies.
//!
//! Which kinds may stand in which body is said here, by what each table has
//! and refuses; what a kind means isn't.

use super::{BUDGET, ITEM, Key, POLICIES, Shape, Table, WORKSPACES, key, required};

/// The kinds of a task that one worker does.
pub(in crate::workflow) const PLAIN_KINDS: &[&str] = &["run", "argv", "worker", "agent"];
/// The kinds of a task: exactly one of these.
pub(in crate::workflow) const KINDS: &[&str] =
    &["run", "argv", "worker", "agent", "loop", "classify", "tournament", "reduce", "map", "approve"];
/// The kinds of what a `map` or a `tournament` makes.
pub(in crate::workflow) const NESTED_KINDS: &[&str] =
    &["run", "argv", "worker", "agent", "loop", "tournament", "map"];
/// The kinds that have bodies, and the key in which what belongs to a worker is written.
pub(in crate::workflow) const CONTROLS: &[(&str, &str)] =
    &[("loop", "each"), ("classify", "by"), ("tournament", "each"), ("map", "each")];

/// What is said about a key of the control task that was written into a body.
const OUTSIDE: &str = "stands on the control task itself, beside its kind, and holds for every body in it";
/// What is said about a kind that can't be inside of another.
const TOP_ONLY: &str = "can't stand in a body: make it a task of its own";
/// What is said about a kind inside of a loop, a judge or a classifier.
const PLAIN_ONLY: &str = "can't stand here: this body is `run`, `argv`, `worker` or `agent`";

/// What `evidence` may be: named, because a key that several tables have can't hold it itself.
static EVIDENCE_FORMS: [Shape; 2] = [Shape::List(&Shape::Table(&ITEM)), Shape::Word(&["waived"])];

const RUN: Key = key("run", "A command line for sh -c.", Shape::Text);
const ARGV: Key = key("argv", "A program and its arguments, without a shell.", Shape::List(&Shape::Text));
const WORKER: Key =
    key("worker", "A program that speaks the worker protocol itself.", Shape::List(&Shape::Text));
const AGENT: Key = key("agent", "The name of an entry of `agents`; goes with `prompt`.", Shape::Slug);
const PROMPT: Key = key(
    "prompt",
    "What the agent is asked; may use {{ needs.TASK.summary }}, and {{ item }} inside of a `map`.",
    Shape::Text,
);
const MODEL: Key = key("model", "With `agent`: the model, in place of the agent's own.", Shape::Text);
// Functions and not constants: these tables lead back to the ones that they stand in.
const fn loop_kind() -> Key {
    key("loop", "The same body again, until its conditions are met.", Shape::Table(&LOOP))
}
const fn map_kind() -> Key {
    key("map", "A body for each element of a task's output.", Shape::Table(&MAP))
}
const fn tournament_kind() -> Key {
    key("tournament", "Several bodies side by side, and a judge for each pair.", Shape::Table(&TOURNAMENT))
}
const WORKSPACE: Key = key("workspace", "What hosts the files. Default: worktree.", Shape::Word(WORKSPACES));
const ENV: Key = key("env", "Variables for the worker; null passes ilchul's own value on.", Shape::Env);
const TIMEOUT: Key = key("timeout", "An attempt's time. Default: 30m.", Shape::Duration);
const RETRIES: Key = key("retries", "Attempts after the first. Default: 0.", Shape::Count(0, 100));
const BUDGET_KEY: Key = key(
    "budget",
    "What an attempt may use at most. Default: nothing for `run` and `argv`, else all that is free.",
    Shape::Table(&BUDGET),
);
const SLURM: Key = key("slurm", "What its job asks of a Slurm cluster.", Shape::Table(&super::TASK_SLURM));
const EVIDENCE: Key = key(
    "evidence",
    "What ilchul checks itself before the task completes; `waived` goes with `reason`.",
    Shape::Either(&EVIDENCE_FORMS),
);
const REASON: Key = key("reason", "Why the evidence is waived.", Shape::Text);
const RETAIN: Key =
    key("retain", "Keep worktree and session until they are released. Default: true.", Shape::Flag);

pub(in crate::workflow) static TASK: Table = Table {
    doc: "A task: exactly one kind, and what it must show.",
    keys: &[
        RUN,
        ARGV,
        WORKER,
        AGENT,
        PROMPT,
        MODEL,
        loop_kind(),
        key("classify", "A body that chooses which tasks go on.", Shape::Table(&CLASSIFY)),
        tournament_kind(),
        key("reduce", "A command over what other tasks answered.", Shape::Table(&REDUCE)),
        map_kind(),
        key("approve", "A person says yes; nobody works on it.", Shape::Table(&APPROVE)),
        key(
            "needs",
            "Tasks that must have ended before.",
            Shape::List(&Shape::Either(&[Shape::Slug, Shape::Table(&NEED)])),
        ),
        key("when", "What must have become of the needs. Default: completed.", Shape::Word(POLICIES)),
        key(
            "base",
            "Where the tree starts: a commit-ish, or the head of a task among the needs.",
            Shape::Either(&[Shape::Text, Shape::Table(&BASE)]),
        ),
        WORKSPACE,
        ENV,
        TIMEOUT,
        RETRIES,
        BUDGET_KEY,
        SLURM,
        EVIDENCE,
        REASON,
        RETAIN,
        key(
            "trust",
            "What an `untrusted` task changes in its tree refutes it. Default: trusted.",
            Shape::Word(&["trusted", "untrusted"]),
        ),
    ],
    refused: &[("session", "is set for the whole run, in `defaults`")],
};

pub(in crate::workflow) static NEED: Table = Table {
    doc: "A need with a policy of its own.",
    keys: &[
        required("task", "The id of a task.", Shape::Slug),
        key("when", "What must have become of it. Default: the task's `when`.", Shape::Word(POLICIES)),
    ],
    refused: &[],
};

pub(in crate::workflow) static BASE: Table = Table {
    doc: "The head of another task, or its last snapshot.",
    keys: &[required("task", "The id of a task among the needs.", Shape::Slug)],
    refused: &[],
};

pub(in crate::workflow) static BODY: Table = Table {
    doc: "What one worker does: exactly one of `run`, `argv`, `worker` and `agent`, and what it must show.",
    keys: &[
        RUN, ARGV, WORKER, AGENT, PROMPT, MODEL, WORKSPACE, ENV, TIMEOUT, RETRIES, BUDGET_KEY, SLURM,
        EVIDENCE, REASON, RETAIN,
    ],
    refused: &[
        ("needs", OUTSIDE),
        ("when", OUTSIDE),
        ("base", OUTSIDE),
        ("loop", PLAIN_ONLY),
        ("map", PLAIN_ONLY),
        ("tournament", PLAIN_ONLY),
        ("classify", TOP_ONLY),
        ("reduce", TOP_ONLY),
        ("approve", TOP_ONLY),
        ("trust", OUTSIDE),
        ("session", "is set for the whole run, in `defaults`"),
    ],
};

pub(in crate::workflow) static NESTED: Table = Table {
    doc: "What is made several times: a worker's body, or another loop, map or tournament.",
    keys: &[
        RUN,
        ARGV,
        WORKER,
        AGENT,
        PROMPT,
        MODEL,
        loop_kind(),
        tournament_kind(),
        map_kind(),
        WORKSPACE,
        ENV,
        TIMEOUT,
        RETRIES,
        BUDGET_KEY,
        SLURM,
        EVIDENCE,
        REASON,
        RETAIN,
    ],
    refused: &[
        ("needs", OUTSIDE),
        ("when", OUTSIDE),
        ("base", OUTSIDE),
        ("classify", TOP_ONLY),
        ("reduce", TOP_ONLY),
        ("approve", TOP_ONLY),
        ("trust", OUTSIDE),
        ("session", "is set for the whole run, in `defaults`"),
    ],
};

pub(in crate::workflow) static LOOP: Table = Table {
    doc: "The same body again, each time from where the last one ended, until its conditions are met.",
    keys: &[
        required(
            "max",
            "The most iterations; reached without the conditions, the task has failed.",
            Shape::Count(1, 1_000),
        ),
        required(
            "until",
            "What must hold after an iteration for the loop to end, judged by ilchul.",
            Shape::Either(&[Shape::Table(&super::CONDITION), Shape::List(&Shape::Table(&super::CONDITION))]),
        ),
        required("each", "One iteration; without `evidence` only `until` judges it.", Shape::Table(&BODY)),
    ],
    refused: &[],
};

pub(in crate::workflow) static CLASSIFY: Table = Table {
    doc: "A body that answers one label, and the tasks that each label leads to; the others are skipped.",
    keys: &[
        required("by", "Answers one of the labels as `outputs.label`.", Shape::Table(&BODY)),
        required(
            "branches",
            "The tasks behind each label; they need this one.",
            Shape::Choices(&Shape::Slug),
        ),
    ],
    refused: &[],
};

pub(in crate::workflow) static TOURNAMENT: Table = Table {
    doc: "Entrants side by side, then one match after another, until one is left.",
    keys: &[
        required(
            "entrants",
            "How many, or what each has instead of what `each` says; 2 to 64.",
            Shape::Either(&[Shape::Count(2, 64), Shape::List(&Shape::Table(&NESTED))]),
        ),
        required("each", "What an entrant does.", Shape::Table(&NESTED)),
        required(
            "judge",
            "Decides one match: answers `left` or `right` as `outputs.winner`.",
            Shape::Table(&BODY),
        ),
    ],
    refused: &[],
};

pub(in crate::workflow) static REDUCE: Table = Table {
    doc: "A command over what other tasks answered: the same for the same inputs.",
    keys: &[
        required("run", "A command line for sh -c; ILCHUL_INPUTS names what it reads.", Shape::Text),
        required("over", "The tasks whose answers it reads; it needs them.", Shape::List(&Shape::Slug)),
    ],
    refused: &[],
};

pub(in crate::workflow) static MAP: Table = Table {
    doc: "A body for each element of a list that an earlier task answered.",
    keys: &[
        required("over", "The list: TASK.outputs.NAME; the task is needed.", Shape::OutputOf),
        required(
            "each",
            "What is done for one element, which it finds in ILCHUL_ITEM and {{ item }}.",
            Shape::Table(&NESTED),
        ),
        key("max", "The most elements; a longer list fails the task. Default: 100.", Shape::Count(1, 10_000)),
    ],
    refused: &[],
};

pub(in crate::workflow) static APPROVE: Table = Table {
    doc: "A gate that holds no worker: `ilchul approve` opens it, `ilchul deny` fails the task.",
    keys: &[required("message", "What a person is asked.", Shape::Text)],
    refused: &[],
};
