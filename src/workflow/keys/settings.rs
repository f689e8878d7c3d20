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
        key("hosts", "Machines that `--host` may name, by name.", Shape::Map(&Shape::Table(&HOST))),
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

pub(in crate::workflow) static HOST: Table = Table {
    doc: "A machine on which ilchul runs in place of this one.",
    keys: &[
        key("ssh", "What ssh calls it: user@login. Default: its name.", Shape::Text),
        key(
            "folder",
            "The checkout there; from the home there on where it doesn't begin with `/`. Default: ilchul/<repository>.",
            Shape::Text,
        ),
        key(
            "program",
            "An ilchul of this version that is there already. Default: this program, which is sent there once.",
            Shape::Text,
        ),
    ],
    refused: &[
        ("session", "stands in `defaults`, of the settings there"),
        ("port", "stands in ssh's own configuration"),
    ],
};

const NOTIFY_COMMAND: Key =
    required("command", "The program and its arguments, without a shell.", Shape::List(&Shape::Text));
