//! The script that enters a folder there and runs ilchul, or says in a word why it can't.
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
    /// On a terminal there, with the same word.
    Terminal,
    /// Not at all: only the word is asked for.
    Ask,
}

/// The script.
pub(super) fn script(entry: &Entry<'_>) -> OsString {
    let mut script = OsString::from(say());
    let mut add = |text: &OsStr| script.push(text);
    if entry.how == How::Terminal {
        // Both streams are one there.
        add(OsStr::new(&format!("say() {{ echo; echo \"{MARK} $1\"; }}\n")));
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
    // Not in place of the shell: sshd would tell of a signal, and ssh says 255 to that, as it does
    // where its link broke. The shell outlives Ctrl-C, and its exit code names the signal.
    add(OsStr::new("trap : INT QUIT\n\"$p\""));
    for argument in entry.words {
        add(OsStr::new(" "));
        add(&word(argument));
    }
    add(OsStr::new("\nexit $?"));
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// The word that the script says in a home, and what came after it.
    fn said(home: &std::path::Path, entry: &Entry<'_>) -> (Option<String>, String) {
        let mut sh = std::process::Command::new("sh");
        let out = sh.arg("-c").arg(script(entry)).env("HOME", home).output().unwrap();
        let mut past = crate::host::Past::default();
        let rest = String::from_utf8_lossy(past.feed(&out.stdout)).into_owned();
        (past.said().map(str::to_owned), rest)
    }

    #[test]
    fn the_script_says_in_a_word_what_is_missing_and_else_runs_the_program() {
        let top = tempfile::tempdir().unwrap();
        let home = top.path().join("it's a home");
        let digest = "0123456789abcdef0000";
        let program = Program::Placed(digest.to_owned());
        let words = ["a b".into(), "$x'\n".into()];
        let env = [("NO_COLOR", "it's".to_owned())];
        let entry = |folder, how| Entry { program: &program, folder, words: &words, env: &env, how };
        let word = |word: &str| (Some(word.to_owned()), String::new());
        let check = |entry: &Entry<'_>, expected| assert_eq!(said(&home, entry), expected);
        check(&entry(None, How::Plain), word(ABSENT));
        let place = home.join(".cache/ilchul/bin").join(&digest[..16]);
        std::fs::create_dir_all(&place).unwrap();
        let text = "#!/bin/sh\n[ \"$1\" != --version ] || { echo ilchul 0; exit; }\npwd; printf '%s|' \"$NO_COLOR\" \"$@\"\n";
        std::fs::write(place.join("ilchul"), text).unwrap();
        std::fs::set_permissions(place.join("ilchul"), std::fs::Permissions::from_mode(0o755)).unwrap();
        check(&entry(Some("no such"), How::Plain), word(NO_FOLDER));
        std::fs::create_dir(home.join("-f \"x\"")).unwrap();
        check(&entry(Some("-f \"x\""), How::Ask), word(RUN));
        let ran = format!("{}/-f \"x\"\nit's|a b|$x'\n|", home.display());
        check(&entry(Some("-f \"x\""), How::Plain), (Some(RUN.to_owned()), ran.clone()));
        check(&entry(Some("-f \"x\""), How::Terminal), (Some(RUN.to_owned()), ran));
        let named = Program::Named(place.join("ilchul").display().to_string());
        let other = Entry { program: &named, ..entry(None, How::Plain) };
        check(&other, word(&format!("{OTHER} ilchul 0")));
    }

    #[test]
    fn a_signal_that_ends_the_program_is_an_exit_code_and_no_end_of_the_script() {
        let program = Program::Named("/bin/sh".to_owned());
        for (signal, code) in [("INT", 130), ("QUIT", 131), ("KILL", 137), ("TERM", 143)] {
            let words = ["-c", "kill -s $0 $$", signal].map(OsString::from);
            let entry =
                Entry { program: &program, folder: None, words: &words, env: &[], how: How::Terminal };
            let text = script(&entry).into_string().unwrap();
            // Any program may stand for ours here.
            let text = text.lines().filter(|line| !line.contains("$v")).collect::<Vec<_>>().join("\n");
            let out = std::process::Command::new("sh").args(["-c", &text]).output().unwrap();
            assert_eq!(out.status.code(), Some(code), "{signal}");
        }
    }
}
