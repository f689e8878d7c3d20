//! The keys of the user's own settings.
//!
//! What a workflow has under the same name means the same there, and goes before it.

use super::{ADAPTER, Key, Shape, Table, key, required};
use super::{SESSION, USUAL_ENV, USUAL_RETRIES, USUAL_TIMEOUT, USUAL_WORKSPACE};

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
            "agents",
            "Kinds of agents of your own, or what differs of those that are there.",
            Shape::Map(&Shape::Table(&ADAPTER)),
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
    keys: &[SESSION, USUAL_WORKSPACE, USUAL_TIMEOUT, USUAL_RETRIES, USUAL_ENV],
    refused: &[("budget", "belongs to a workflow, whose limits bound it")],
};

pub(in crate::workflow) static NOTIFY: Table = Table {
    doc: "A program of yours; what there is to say stands in its environment and on its input.",
    keys: &[NOTIFY_COMMAND],
    refused: &[],
};

const NOTIFY_COMMAND: Key =
    required("command", "The program and its arguments, without a shell.", Shape::List(&Shape::Text));
