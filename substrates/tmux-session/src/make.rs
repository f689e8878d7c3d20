//! What a new window is: the words of its process, and the commands around it.
//!
//! All commands of one window go to the server as one list, which it runs without
//! looking at its panes in between: even a process that ends at once finds
//! `remain-on-exit` set. It leaves out sending the list and reading the answer.

use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

use ilchul_substrate::{Error, ErrorKind, Mark, SessionSpec};
use rustix::fs::OFlags;

use crate::panes::{PANE, SERVER};
use crate::quote::{MAX_LINE, for_sh_in_format, push_plain, push_word};

/// The trampoline: a server's environment reaches every pane, so each starts from none.
pub(crate) const ENV_PROGRAM: &str = "/usr/bin/env";
/// Lines of scrollback for the windows of a run. The log holds everything; a full
/// default history costs 2 MiB a window.
const HISTORY_LINES: &str = "500";

const CHECK: &str = "read session spec";

/// A list of commands, and how many they are.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) line: Vec<u8>,
    pub(crate) count: usize,
}

impl List {
    fn new() -> Self {
        Self { line: Vec::new(), count: 0 }
    }

    fn command(&mut self, words: &str) {
        if self.count > 0 {
            push_plain(&mut self.line, ";");
        }
        self.count += 1;
        push_plain(&mut self.line, words);
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Error> {
        push_word(&mut self.line, word)
    }

    fn checked(self) -> Result<Self, Error> {
        if self.line.len() > MAX_LINE {
            let size = self.line.len();
            return Err(refused(format!(
                "its command line has {size} bytes, the limit of tmux is {MAX_LINE}"
            )));
        }
        Ok(self)
    }
}

/// The session of a run with its first window.
pub(crate) fn first_window(name: &str, mark: &Mark, spec: &SessionSpec) -> Result<List, Error> {
    let mut list = List::new();
    list.command("new-session -d -x 200 -y 50 -s");
    list.word(name.as_bytes())?;
    push_process(&mut list, spec)?;
    // `=` asks for the whole name; the list runs at once, so nobody can take it meanwhile.
    let target = format!("'={name}:'");
    for (option, value) in [
        ("destroy-unattached", "off"),
        // Otherwise our own connection would be moved to another session.
        ("detach-on-destroy", "on"),
        ("history-limit", HISTORY_LINES),
        ("@ilchul_run", mark.run()),
    ] {
        list.command(&format!("set-option -t {target} {option} {value}"));
    }
    push_settings(&mut list, &target, mark, spec)?;
    list.checked()
}

/// One more window of `session` (an id) at `index`.
pub(crate) fn next_window(session: &str, index: u32, mark: &Mark, spec: &SessionSpec) -> Result<List, Error> {
    let mut list = List::new();
    // The index is ours to choose, so that the commands after it can name the window before we
    // know its id. Where somebody took it meanwhile, the list fails before anything is made.
    let target = format!("'{session}:{index}'");
    list.command(&format!("new-window -d -t {target}"));
    push_process(&mut list, spec)?;
    push_settings(&mut list, &target, mark, spec)?;
    list.checked()
}

/// The window's name and the process in it. Two words or more: tmux gives a single one to a shell.
fn push_process(list: &mut List, spec: &SessionSpec) -> Result<(), Error> {
    check(spec)?;
    push_plain(&mut list.line, &format!("-n '{}' --", spec.title));
    // tmux falls back to another folder where `-c` fails, and expands formats in it; `env -C` does neither.
    list.word(ENV_PROGRAM.as_bytes())?;
    push_plain(&mut list.line, "-i -C");
    list.word(spec.cwd.as_os_str().as_bytes())?;
    // The terminal's kind is the server's to say: it stands in the environment that `-i` drops.
    push_plain(&mut list.line, "-S");
    list.word(b"-- TERM=${TERM}")?;
    for (name, value) in spec.env.iter().filter(|(name, _)| name != "TERM") {
        list.word(&[name.as_bytes(), b"=", value.as_bytes()].concat())?;
    }
    for word in &spec.argv {
        list.word(word.as_bytes())?;
    }
    Ok(())
}

/// What makes a window ours and lets it outlive its process.
///
/// `@ilchul_made` comes last: without it a window is half made. The listing at the
/// end saves a look.
fn push_settings(list: &mut List, target: &str, mark: &Mark, spec: &SessionSpec) -> Result<(), Error> {
    list.command(&format!("set-option -w -t {target} remain-on-exit on"));
    list.command(&format!("set-option -p -t {target} @ilchul_mark {mark}"));
    list.command(&format!("set-option -F -p -t {target} @ilchul_pid '#{{pane_pid}}'"));
    list.command(&format!("set-option -w -t {target} allow-rename off"));
    list.command(&format!("set-option -w -t {target} automatic-rename off"));
    if spec.capture {
        list.command(&format!("pipe-pane -t {target}"));
        list.word(format!("exec cat >> {}", for_sh_in_format(spec.log.as_os_str().as_bytes())).as_bytes())?;
    }
    list.command(&format!("set-option -p -t {target} @ilchul_made 1"));
    list.command(&format!("list-panes -t {target} -F"));
    list.word(PANE.as_bytes())?;
    list.command("display-message -p");
    list.word(SERVER.as_bytes())
}

/// Refuses what couldn't arrive as it was given, before anything is made.
fn check(spec: &SessionSpec) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if spec.title.is_empty() || spec.title.len() > 200 || !spec.title.chars().all(plain) {
        return Err(refused(format!("`{}` is no title", spec.title.escape_debug())));
    }
    let Some(program) = spec.argv.first() else { return Err(refused("it names no program".to_owned())) };
    if program.is_empty() || program.as_bytes().contains(&b'=') {
        // `env` would take it for a variable.
        return Err(refused(format!("`{}` can't be a program's name here", program.to_string_lossy())));
    }
    for (name, _) in &spec.env {
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            return Err(refused(format!("`{}` is no variable's name", name.to_string_lossy())));
        }
    }
    if !spec.cwd.is_absolute() || !spec.cwd.is_dir() {
        return Err(refused(format!("`{}` is no absolute path of a folder", spec.cwd.display())));
    }
    // `$(...)` in the shell's redirection drops newlines at the end.
    let log = spec.log.as_os_str().as_bytes();
    if spec.capture && (!spec.log.is_absolute() || log.contains(&b'\n') || log.contains(&0)) {
        return Err(refused(format!("`{}` can't be a log's path", spec.log.display())));
    }
    Ok(())
}

/// Makes the log ours before `cat` would make it with the server's umask.
pub(crate) fn prepare_log(spec: &SessionSpec) -> Result<(), Error> {
    if !spec.capture {
        return Ok(());
    }
    // By no link, and never waiting: something else may stand under a name that can be foreseen.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    let opened = options.append(true).create(true).mode(0o600).custom_flags(flags).open(&spec.log);
    opened.map(drop).map_err(|error| Error::io("open log", format!("`{}`", spec.log.display()), error))
}

fn refused(detail: String) -> Error {
    Error::new(ErrorKind::Refused, CHECK, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::path::PathBuf;

    fn spec() -> SessionSpec {
        SessionSpec {
            title: "a.1".to_owned(),
            cwd: PathBuf::from("/"),
            argv: vec!["true".into()],
            env: vec![("A".into(), "1".into()), ("TERM".into(), "xterm-odd".into())],
            log: PathBuf::from("/tmp/log"),
            capture: true,
            request: ilchul_substrate::Request::default(),
        }
    }

    fn refusal(change: impl FnOnce(&mut SessionSpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        let error = next_window("$1", 7, &mark(), &spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        error.to_string()
    }

    fn mark() -> Mark {
        "ilchul.r1.a.1".parse().unwrap()
    }

    #[test]
    fn the_list_counts_its_commands_and_names_only_its_own_window() {
        let list = next_window("$1", 7, &mark(), &spec()).unwrap();
        let line = String::from_utf8(list.line).unwrap();
        assert_eq!(line.matches(" ; ").count() + 1, list.count, "{line}");
        assert_eq!(line.matches("-t ").count(), line.matches("-t '$1:7'").count(), "{line}");
        assert!(!line.contains(" -g") && !line.contains("xterm-odd") && !line.contains("kill"), "{line}");
    }

    #[test]
    fn the_first_list_sets_options_of_its_own_session_only() {
        let line = String::from_utf8(first_window("ilchul-x-r1", &mark(), &spec()).unwrap().line).unwrap();
        assert_eq!(line.matches("-t ").count(), line.matches("-t '=ilchul-x-r1:'").count(), "{line}");
        assert!(!line.contains(" -g") && !line.contains("kill"), "{line}");
    }

    #[test]
    fn what_can_t_be_served_is_refused_before_anything_is_made() {
        assert!(refusal(|spec| spec.title = "#(touch x)".to_owned()).contains("title"));
        assert!(refusal(|spec| spec.argv.clear()).contains("program"));
        assert!(refusal(|spec| spec.argv[0] = "A=b".into()).contains("A=b"));
        assert!(refusal(|spec| spec.argv.push("a\0b".into())).contains("NUL"));
        assert!(refusal(|spec| spec.env.push(("".into(), "x".into()))).contains("variable"));
        assert!(refusal(|spec| spec.env.push(("A=B".into(), "x".into()))).contains("A=B"));
        assert!(refusal(|spec| spec.cwd = "/no/such/folder".into()).contains("/no/such/folder"));
        assert!(refusal(|spec| spec.cwd = "tmp".into()).contains("tmp"));
        assert!(refusal(|spec| spec.log = "/tmp/a\nb".into()).contains("log"));
    }

    #[test]
    fn a_line_too_long_for_tmux_is_refused_with_its_size() {
        let text = refusal(|spec| spec.argv.push(OsString::from("x".repeat(20_000))));
        assert!(text.contains("the limit of tmux is 15000") && text.contains("20"), "{text}");
    }
}
