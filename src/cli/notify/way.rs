//! The ways to tell a person: a program, the bell, tmux, the desktop.
//!
//! Each is started directly, never by a shell, and ended after a few seconds. What a worker wrote
//! reaches a program on its standard input and in its environment alone, and tmux as text in
//! which nothing is expanded.

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::news::News;
use crate::cli::ask::ask;
use crate::cli::output;
use crate::render::words::line;
use crate::workflow::Notify;

/// How long one program may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Characters of a question that a status line holds.
const STATUS_MAX: usize = 120;
/// Clients of one tmux session that are told.
const CLIENTS_MAX: usize = 16;

/// The word of a way, for messages.
#[must_use]
pub fn word(way: &Notify) -> String {
    match way {
        Notify::Bell => "bell".to_owned(),
        Notify::Tmux => "tmux".to_owned(),
        Notify::Desktop => "desktop".to_owned(),
        Notify::Command(argv) => line(argv.first().map_or("", String::as_str)),
    }
}

/// Tells `news` in one way.
///
/// # Errors
/// A sentence's end: why nobody was told.
pub fn tell(way: &Notify, news: &News) -> Result<(), String> {
    match way {
        Notify::Bell => bell(),
        Notify::Tmux => tmux(news),
        Notify::Desktop => program(&desktop(news), news),
        Notify::Command(argv) => program(&argv.iter().map(OsString::from).collect::<Vec<_>>(), news),
    }
}

fn bell() -> Result<(), String> {
    if !std::io::stderr().is_terminal() {
        return Err("there is no terminal here".to_owned());
    }
    output::talk_raw("\u{7}");
    Ok(())
}

/// In the status line of whoever looks at the session that `up` runs in, and of nobody else.
fn tmux(news: &News) -> Result<(), String> {
    let value = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let (Some(tmux), Some(pane)) = (value("TMUX"), value("TMUX_PANE")) else {
        return Err("this isn't in tmux".to_owned());
    };
    // `<socket>,<pid>,<session>`: the socket is that of `-L` and `-S`, too.
    let socket = tmux.rsplitn(3, ',').last().unwrap_or_default();
    let clients = ask("tmux", &["-S", socket, "list-clients", "-t", &pane, "-F", "#{client_name}"])?;
    if !clients.success {
        return Err(line(&clients.text));
    }
    let message = status_line(news);
    for client in clients.text.lines().take(CLIENTS_MAX) {
        let shown = ask("tmux", &["-S", socket, "display-message", "-c", client, &message])?;
        if !shown.success {
            return Err(line(&shown.text));
        }
    }
    Ok(())
}

/// What tmux shows: it expands `#` and `%`, and `#(...)` would even run something.
fn status_line(news: &News) -> String {
    let text: String = line(&news.text).chars().take(STATUS_MAX).collect();
    format!("ilchul: {}: {text} ({})", news.title, news.look).replace('#', "##").replace('%', "%%")
}

/// The body of a desktop's message is markup to some servers.
fn desktop(news: &News) -> Vec<OsString> {
    let body = format!("{}\n{}", news.text, news.answer);
    let body = body.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let title = format!("ilchul: {}", news.title);
    ["notify-send", "--app-name=ilchul", "--", &title, &body].map(OsString::from).to_vec()
}

/// Runs a program with what there is to say.
fn program(argv: &[OsString], news: &News) -> Result<(), String> {
    let Some((program, args)) = argv.split_first() else { return Err("no program is named".to_owned()) };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    for (name, value) in facts(news) {
        command.env(name, value);
    }
    let mut child = command.spawn().map_err(|error| cannot_start(program, &error))?;
    if let Some(mut input) = child.stdin.take() {
        // Less than a pipe holds, so it waits for nobody; who doesn't read it doesn't want it.
        let _ = input.write_all(format!("{}\n", news.text).as_bytes());
    }
    ended(&mut child)
}

fn cannot_start(program: &OsStr, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no `{}`", line(&program.to_string_lossy())),
        _ => format!("it can't be started: {error}"),
    }
}

/// What stands in the program's environment.
fn facts(news: &News) -> [(&'static str, &str); 8] {
    [
        ("ILCHUL_NOTIFY_EVENT", news.event),
        ("ILCHUL_NOTIFY_RUN", &news.run),
        ("ILCHUL_NOTIFY_TASK", &news.task),
        ("ILCHUL_NOTIFY_WORKER", &news.worker),
        ("ILCHUL_NOTIFY_TITLE", &news.title),
        ("ILCHUL_NOTIFY_TEXT", &news.text),
        ("ILCHUL_NOTIFY_LOOK", &news.look),
        ("ILCHUL_NOTIFY_ANSWER", &news.answer),
    ]
}

/// Waits for its end, and brings it about where it doesn't come.
fn ended(child: &mut Child) -> Result<(), String> {
    let until = Instant::now() + LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("it ended with {status}")),
            Ok(None) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
            Ok(None) => {
                // It hasn't been waited for, so its number, and its group's, is still its own.
                let group = i32::try_from(child.id()).ok().filter(|group| *group > 1);
                let _ = group.map(|group| killpg(Pid::from_raw(group), Signal::SIGKILL));
                let _ = child.wait();
                return Err(format!("it took longer than {} s", LIMIT.as_secs()));
            }
            Err(error) => return Err(format!("its end can't be seen: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(text: &str) -> News {
        News {
            key: "k".to_owned(),
            event: "question",
            run: "r".to_owned(),
            task: "fix".to_owned(),
            worker: "fix.1".to_owned(),
            title: "fix waits for you".to_owned(),
            text: text.to_owned(),
            look: "ilchul attach fix.1".to_owned(),
            answer: "ilchul answer fix \"...\"".to_owned(),
        }
    }

    #[test]
    fn what_a_worker_wrote_is_text_to_tmux_and_to_the_desktop() {
        let shown = status_line(&news("#(touch x) #[fg=red] 100% #{pid}"));
        assert!(shown.contains("##(touch x) ##[fg=red] 100%% ##{pid}"), "{shown}");
        assert!(status_line(&news(&"x".repeat(9_000))).len() < 400);
        let argv = desktop(&news("<b>&</b> --help"));
        assert_eq!(argv[2], "--", "no text is an option");
        assert_eq!(argv[4], "&lt;b&gt;&amp;&lt;/b&gt; --help\nilchul answer fix \"...\"");
    }

    #[test]
    fn a_program_gets_its_text_by_environment_and_input_and_never_in_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let script = format!(
            "cat > {0}; printf '%s|%s' \"$ILCHUL_NOTIFY_TASK\" \"$ILCHUL_NOTIFY_TEXT\" >> {0}",
            out.display()
        );
        let argv = ["sh", "-c", &script].map(str::to_owned).to_vec();
        tell(&Notify::Command(argv), &news("$(touch /x); `id`")).unwrap();
        assert_eq!(std::fs::read_to_string(out).unwrap(), "$(touch /x); `id`\nfix|$(touch /x); `id`");
    }

    #[test]
    fn a_program_that_fails_is_missing_or_hangs_is_told_apart() {
        let run = |argv: &[&str]| {
            tell(&Notify::Command(argv.iter().map(|word| (*word).to_owned()).collect()), &news("x"))
                .unwrap_err()
        };
        assert_eq!(run(&["no-such-program-here"]), "there is no `no-such-program-here`");
        assert_eq!(run(&["false"]), "it ended with exit status: 1");
        let begun = Instant::now();
        assert_eq!(run(&["sh", "-c", "sleep 600 & sleep 600"]), "it took longer than 5 s");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
