//! The keys of the user's own settings.
//!
//! What a workflow has under the same name means the same there, and goes before it.

use super::{Key, SESSIONS, Shape, Table, WORKSPACES, key, required};

/// What tells a person that something waits, by a word alone.
pub(in crate::workflow) const BELLS: &[&str] = &["bell", "tmux", "desktop"];

pub(in crate::workflow) static SETTINGS: Table = Table {
    doc: "What you prefer, where neither the command line nor a workflow says anything.",
    keys: &[
        key(
            "defaults",
            "What holds for every task that doesn't say otherwise.",
            Shape::Table(&SETTINGS_DEFAULTS),
        ),
        key(
            "notify",
            "How you are told that something waits for you; each once. Default: not at all.",
            Shape::List(&Shape::Either(&[Shape::Word(BELLS), Shape::Table(&NOTIFY)])),
        ),
    ],
    refused: &[
        ("session", "stands in `defaults`"),
        ("limits", "belongs to a workflow: a run is bounded where it is described"),
    ],
};

/// Like those of a workflow, but for what a workflow's own limits bound.
pub(in crate::workflow) static SETTINGS_DEFAULTS: Table = Table {
    doc: "What holds for every task that doesn't say otherwise.",
    keys: &[
        key(
            "session",
            "What hosts the processes. Default: tmux where there is a terminal.",
            Shape::Word(SESSIONS),
        ),
        key("workspace", "What hosts the files. Default: worktree.", Shape::Word(WORKSPACES)),
        key("timeout", "An attempt's time. Default: 30m.", Shape::Duration),
        key("retries", "Attempts after the first. Default: 0.", Shape::Count(0, 100)),
        key("env", "Variables for every worker; null passes ilchul's own value on.", Shape::Env),
    ],
    refused: &[("budget", "belongs to a workflow, whose limits bound it")],
};

pub(in crate::workflow) static NOTIFY: Table = Table {
    doc: "A program of yours; what there is to say stands in its environment and on its input.",
    keys: &[NOTIFY_COMMAND],
    refused: &[],
};

const NOTIFY_COMMAND: Key =
    required("command", "The program and its arguments, without a shell.", Shape::List(&Shape::Text));
