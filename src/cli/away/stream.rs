//! A command there whose streams go on here as they come.
//!
//! It leaves out what they say.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anstream::adapter::strip_bytes;

use super::super::read;
use super::clean::Cleaned;
use super::enter::RUN;
use crate::host::{Past, Pump};

/// Between two looks at a command.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How a command there ended.
pub(super) struct Done {
    pub(super) code: i32,
    /// The word before the program's own output; none where nothing of ours was run.
    pub(super) said: Option<String>,
    /// What came on stderr before that; on a terminal, whose streams are one, without what steers it.
    pub(super) before: Vec<u8>,
    /// And after it: ssh's last words are among them.
    pub(super) tail: Vec<u8>,
}

/// What shows the streams here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// Whether colours pass on stdout; none where it is no terminal, and has every byte.
    pub(super) out: Option<bool>,
    /// Whether they do on stderr, which is for people wherever it goes.
    pub(super) err: bool,
}

/// Lets the child's streams go on here, and answers how it ended. One that only follows ends as
/// it would here, where nobody reads any more.
///
/// # Errors
/// What the system says.
pub(super) fn through(child: Child, shown: Shown, follows: bool) -> std::io::Result<Done> {
    let out: Box<dyn Write + Send> = match shown.out {
        Some(colour) => Box::new(Cleaned::new(std::io::stdout(), colour)),
        None => Box::new(std::io::stdout()),
    };
    let streams = (out, Cleaned::new(std::io::stderr(), shown.err));
    if follows { joined(child, streams, read::pause_for_reader) } else { joined(child, streams, pause) }
}

/// The same for one that has a terminal there: all that comes after its word goes on raw.
///
/// # Errors
/// What the system says.
pub(super) fn on_terminal(mut child: Child) -> std::io::Result<Done> {
    // What ssh asks and complains of stays ssh's own.
    let (copied, out) = copy(child.stdout.take(), std::io::stdout());
    let code = child.wait()?.code().unwrap_or(-1);
    out.rest(Instant::now());
    let copied = lock(&copied);
    let said = copied.past.said().map(|word| word.trim_end().to_owned());
    // What drew there instead of our program says nothing by its colours and places.
    let before = strip_bytes(copied.past.before()).into_vec();
    Ok(Done { code, said, before, tail: Vec::new() })
}

/// Nobody has to read what acts.
fn pause(span: Duration) -> bool {
    std::thread::sleep(span);
    true
}

fn joined(
    mut child: Child,
    (out, err): (impl Write + Send + 'static, impl Write + Send + 'static),
    mut pause: impl FnMut(Duration) -> bool,
) -> std::io::Result<Done> {
    let (copied_out, out) = copy(child.stdout.take(), out);
    let (copied_err, err) = copy(child.stderr.take(), err);
    let began = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait()? {
            break status.code().unwrap_or(-1);
        }
        // What is short is looked at often.
        if !pause((began.elapsed() / 16).clamp(PAUSE_MIN, PAUSE_MAX)) {
            child.kill()?;
            child.wait()?;
            return Ok(Done { code: 0, said: Some(RUN.to_owned()), before: Vec::new(), tail: Vec::new() });
        }
    };
    let ended = Instant::now();
    out.rest(ended);
    err.rest(ended);
    let said = lock(&copied_out).past.said().map(str::to_owned);
    let mut err = lock(&copied_err);
    Ok(Done { code, said, before: err.past.before().to_vec(), tail: std::mem::take(&mut err.tail) })
}

/// How the pipes of such a command are made.
pub(super) fn pipes(command: &mut std::process::Command, input: bool) {
    command.stdin(if input { Stdio::inherit() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
}

/// The same for one that has a terminal there. Its size is that of standard input's.
pub(super) fn terminal_pipes(command: &mut std::process::Command) {
    command.stdout(Stdio::piped());
}

#[derive(Default)]
struct Copied {
    past: Past,
    tail: Vec<u8>,
}

impl Copied {
    /// What of a piece is the command's own.
    fn take<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let ours = self.past.feed(piece);
        self.tail.extend_from_slice(ours);
        let extra = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..extra);
        ours
    }
}

/// How much of the end is kept.
const TAIL: usize = 4096;

fn copy(
    pipe: Option<impl Read + Send + 'static>,
    mut to: impl Write + Send + 'static,
) -> (Arc<Mutex<Copied>>, Pump) {
    let copied = Arc::new(Mutex::new(Copied::default()));
    let shared = copied.clone();
    let each = move |piece: &[u8]| {
        // Not held while it is written: a reader here may take as long as it likes.
        let ours = lock(&shared).take(piece);
        // Where nobody reads here any more, the pipe's end tells the command.
        ours.is_empty() || to.write_all(ours).and_then(|()| to.flush()).is_ok()
    };
    (copied, Pump::of(pipe, each))
}

fn lock(copied: &Mutex<Copied>) -> MutexGuard<'_, Copied> {
    copied.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// A reader that takes nothing for a while, as a person in front of a pager.
    struct Slow(Arc<Mutex<Vec<u8>>>, Option<Duration>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.take().into_iter().for_each(std::thread::sleep);
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn command(script: &str) -> Child {
        let mut command = Command::new("sh");
        pipes(command.args(["-c", script]), false);
        command.spawn().unwrap()
    }

    #[test]
    fn a_reader_that_takes_its_time_has_all_of_it_and_the_word_before_it() {
        let script = "echo rubbish; echo 'ilchul.host.1 run'; printf %0120000d 7; echo last >&2; exit 3";
        let all = Arc::new(Mutex::new(Vec::new()));
        let slow = Slow(all.clone(), Some(Duration::from_millis(2600)));
        let done = joined(command(script), (slow, std::io::sink()), pause).unwrap();
        assert_eq!((done.code, done.said.as_deref()), (3, Some("run")));
        assert_eq!(all.lock().unwrap().len(), 120_000);
    }

    #[test]
    fn what_holds_the_pipes_open_keeps_neither_the_word_nor_the_end_back() {
        let script =
            "sleep 30 & echo 'ilchul.host.1 run'; echo 'ilchul.host.1 run' >&2; echo why >&2; exit 4";
        let done = joined(command(script), (std::io::sink(), std::io::sink()), pause).unwrap();
        assert_eq!((done.code, done.said.as_deref(), &done.tail[..]), (4, Some("run"), &b"why\n"[..]));
    }

    #[test]
    fn what_a_terminal_shows_instead_of_our_word_is_kept_without_what_steers_it() {
        let done = on_terminal(command(r"printf '\033[2J\033[1mquota\033[0m exceeded\r\n'; exit 3")).unwrap();
        assert_eq!((done.code, done.said.as_deref()), (3, None));
        assert_eq!(String::from_utf8_lossy(&done.before).trim_end(), "quota exceeded");
    }

    #[test]
    fn what_follows_ends_once_nobody_reads_it() {
        let began = Instant::now();
        let done = joined(command("sleep 30"), (std::io::sink(), std::io::sink()), |_| false).unwrap();
        assert_eq!((done.code, done.said.as_deref()), (0, Some(RUN)));
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}
