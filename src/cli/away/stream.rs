//! A command there whose streams go on here as they come.
//!
//! It leaves out what they say.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::Past;

/// For so long a stream may still bring something once its command has ended: what was left
/// running there may hold it open.
const REST: Duration = Duration::from_secs(2);

/// How a command there ended.
pub(super) struct Done {
    pub(super) code: i32,
    /// The word before the program's own output; none where nothing of ours was run.
    pub(super) said: Option<String>,
    /// What came on stderr before that.
    pub(super) before: Vec<u8>,
    /// And after it: ssh's last words are among them.
    pub(super) tail: Vec<u8>,
}

/// Lets the child's streams go on here, and answers how it ended.
///
/// # Errors
/// What the system says.
pub(super) fn through(mut child: Child) -> std::io::Result<Done> {
    let out = copy(child.stdout.take(), std::io::stdout());
    let err = copy(child.stderr.take(), std::io::stderr());
    let code = child.wait()?.code().unwrap_or(-1);
    let until = Instant::now() + REST;
    let (out, err) = (taken(&out, until), taken(&err, until));
    let said = out.past.said().map(str::to_owned);
    Ok(Done { code, said, before: err.past.before().to_vec(), tail: err.tail })
}

/// How the pipes of such a command are made.
pub(super) fn pipes(command: &mut std::process::Command, input: bool) {
    command.stdin(if input { Stdio::inherit() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
}

#[derive(Default)]
struct Copied {
    past: Past,
    tail: Vec<u8>,
}

/// How much of the end is kept.
const TAIL: usize = 4096;

fn copy(pipe: Option<impl Read + Send + 'static>, mut to: impl Write + Send + 'static) -> Receiver<Copied> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let (mut copied, mut piece) = (Copied::default(), vec![0; 64 << 10]);
        let mut pipe = pipe;
        while let Some(Ok(count @ 1..)) = pipe.as_mut().map(|pipe| pipe.read(&mut piece)) {
            let ours = copied.past.feed(&piece[..count]);
            copied.tail.extend_from_slice(ours);
            let extra = copied.tail.len().saturating_sub(TAIL);
            copied.tail.drain(..extra);
            if !ours.is_empty() && to.write_all(ours).and_then(|()| to.flush()).is_err() {
                // Nobody reads here any more: the pipe's end tells the command.
                break;
            }
        }
        drop(pipe);
        // Whoever asked may have gone.
        let _ = send.send(copied);
    });
    receive
}

fn taken(copied: &Receiver<Copied>, until: Instant) -> Copied {
    let rest = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    copied.recv_timeout(rest).unwrap_or_default()
}
