//! The script that enters a folder there and becomes ilchul, or says in a word why it can't.
//!
//! It leaves out what is done about the word.

use std::ffi::{OsStr, OsString};

use crate::host::{MARK, word};

/// What the script says in place of running anything.
pub(super) const ABSENT: &str = "absent";
pub(super) const NO_FOLDER: &str = "folder";
pub(super) const OTHER: &str = "version";
/// And what it says before it does.
pub(super) const RUN: &str = "run";

/// Where our program is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Program {
    /// Where we put it, by its digest.
    Placed(String),
    /// Where the user has one.
    Named(String),
}

impl Program {
    /// Its path as a script has it.
    pub(super) fn path(&self) -> OsString {
        match self {
            Self::Placed(digest) => format!("\"$HOME\"/.cache/ilchul/bin/{}/ilchul", &digest[..16]).into(),
            Self::Named(path) => below_home(path),
        }
    }
}

/// A path as a script has it: from the home there on where it doesn't begin with `/`.
pub(super) fn below_home(path: &str) -> OsString {
    if path.starts_with('/') {
        return word(OsStr::new(path));
    }
    let mut script = OsString::from("\"$HOME\"/");
    script.push(word(OsStr::new(path.strip_prefix("~/").unwrap_or(path))));
    script
}

/// The function by which a script says a word of its own, on both streams.
pub(super) fn say() -> String {
    format!("say() {{ echo; echo \"{MARK} $1\"; {{ echo; echo \"{MARK} $1\"; }} >&2; }}\n")
}

/// What is run, and with what around it.
pub(super) struct Entry<'a> {
    pub(super) program: &'a Program,
    /// None stays in the home.
    pub(super) folder: Option<&'a str>,
    pub(super) words: &'a [OsString],
    /// Variables that it has there.
    pub(super) env: &'a [(&'static str, String)],
    pub(super) how: How,
}

/// How it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// With a word of ours in front.
    Plain,
    /// On the terminal, where nothing of ours is to be seen.
    Terminal,
    /// Not at all: only the word is asked for.
    Ask,
}

/// The script.
pub(super) fn script(entry: &Entry<'_>) -> OsString {
    let mut script = OsString::from(say());
    let mut add = |text: &OsStr| script.push(text);
    if entry.how == How::Terminal {
        add(OsStr::new("say() { :; }\n"));
    }
    // Whatever the environment there says: this is the machine that was meant.
    add(OsStr::new("unset ILCHUL_HOST\np="));
    add(&entry.program.path());
    add(OsStr::new(&format!("\n[ -x \"$p\" ] || {{ say {ABSENT}; exit 0; }}\n")));
    if matches!(entry.program, Program::Named(_)) {
        let version = format!("ilchul {}", env!("CARGO_PKG_VERSION"));
        add(OsStr::new(&format!(
            "v=$(\"$p\" --version 2> /dev/null)\n[ \"$v\" = '{version}' ] || {{ say \"{OTHER} $v\"; exit 0; }}\n"
        )));
    }
    if let Some(folder) = entry.folder {
        add(OsStr::new("cd -- "));
        add(&below_home(folder));
        add(OsStr::new(&format!(" 2> /dev/null || {{ say {NO_FOLDER}; exit 0; }}\n")));
    }
    for (name, value) in entry.env {
        add(OsStr::new(&format!("export {name}=")));
        add(&word(OsStr::new(value)));
        add(OsStr::new("\n"));
    }
    add(OsStr::new(&format!("say {RUN}\n")));
    if entry.how == How::Ask {
        return script;
    }
    add(OsStr::new("exec \"$p\""));
    for argument in entry.words {
        add(OsStr::new(" "));
        add(&word(argument));
    }
    script
}
