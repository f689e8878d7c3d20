//! The standing connection: one control-mode client, commands pipelined from any thread.
//!
//! A thread reads the stream and hands each reply to the caller whose turn it is;
//! the server answers in order. Notices only ring the doorbell: what is true is
//! always listed. It leaves out reconnecting, which is its owner's (`link`).

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, read, write};

use crate::blocks::{Blocks, Event};
use crate::panes::{SERVER, ServerId, parse_server};
use crate::quote::{push_plain, push_word};
use crate::server::{COMMAND_LIMIT, Tmux};

/// Rung when something may have changed: look now.
pub(crate) type Doorbell = Arc<dyn Fn() + Send + Sync>;

/// Why a command has no reply.
#[derive(Debug)]
pub(crate) enum NoReply {
    /// The connection ended; whether the command ran isn't known.
    Ended,
    /// No answer in time; whether the command ran isn't known.
    Late,
    /// The server answered with this error; the commands after it in the line weren't run.
    Failed(String),
}

/// One live control-mode client.
#[derive(Debug)]
pub(crate) struct Connection {
    child: Mutex<Child>,
    input: Mutex<ChildStdin>,
    queue: Arc<Queue>,
    /// Closed with us: it ends the reader even while a hung server holds the stream open.
    _stop: PipeWriter,
    /// The life of the server that this connection ends with.
    pub(crate) server: ServerId,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    ended: bool,
    /// Bounded by the number of calling threads: each waits for its own reply.
    callers: VecDeque<Caller>,
}

#[derive(Debug)]
struct Caller {
    replies_left: usize,
    output: String,
    reply: SyncSender<Result<String, String>>,
}

/// How often the doorbell is asked for: each is one round through the server, which attaches meanwhile.
const SUBSCRIBE_TRIES: usize = 200;

/// How a connection is begun: without output and without a say in sizes.
pub(crate) const ATTACH: [&str; 4] = ["-C", "attach-session", "-f", "no-output,ignore-size"];

impl Connection {
    /// Attaches to `session` (an id), without output and without a say in sizes.
    pub(crate) fn open(tmux: &Tmux, session: &str, doorbell: Option<Doorbell>) -> io::Result<Self> {
        // The standard library opens all of these close-on-exec: no worker inherits an end.
        let pipes = |child: &mut Child| child.stdin.take().zip(child.stdout.take());
        let (stop_reader, stop) = io::pipe()?;
        let mut child = tmux
            .client()
            .args(ATTACH)
            .args(["-t", session])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (input, output) = pipes(&mut child).ok_or_else(|| io::Error::other("no pipe"))?;
        // A hung server reads nothing: a write must give up with the deadline, not block.
        fcntl_setfl(&input, OFlags::NONBLOCK)?;
        let queue = Arc::new(Queue::default());
        let rings = doorbell.is_some();
        let for_reader = Arc::clone(&queue);
        thread::Builder::new()
            .name("tmux-control".to_owned())
            .spawn(move || read_all(&output, &stop_reader, &for_reader, doorbell.as_ref()))?;
        let server = ServerId { pid: 0, started: 0 };
        let mut open =
            Self { child: Mutex::new(child), input: Mutex::new(input), queue, _stop: stop, server };
        open.server = open.identify()?;
        if rings {
            open.subscribe();
        }
        Ok(open)
    }

    /// A pane that dies and stays isn't announced by itself, so that its state is subscribed to.
    ///
    /// The server may read this line before it has attached us, and refuses it then; a few rounds
    /// later it has. Too old a server always refuses: no bell then, only looks.
    fn subscribe(&self) {
        for _ in 0..SUBSCRIBE_TRIES {
            match self.ask(b"refresh-client -B 'ilchul:%*:#{pane_dead}'", 1) {
                Err(NoReply::Failed(_)) => {}
                Ok(_) | Err(NoReply::Ended | NoReply::Late) => return,
            }
        }
    }

    /// Asked through the connection itself, so that no other server can answer for it.
    fn identify(&self) -> io::Result<ServerId> {
        let mut line = Vec::new();
        push_plain(&mut line, "display-message -p");
        push_word(&mut line, SERVER.as_bytes()).map_err(io::Error::other)?;
        let answer = self.ask(&line, 1).map_err(|why| io::Error::other(format!("{why:?}")))?;
        parse_server(answer.trim_end())
            .map(|(server, _)| server)
            .ok_or_else(|| io::Error::other("the server didn't say who it is"))
    }

    /// Sends one line of `count` commands, and waits for the output of all of them.
    pub(crate) fn ask(&self, line: &[u8], count: usize) -> Result<String, NoReply> {
        let until = Instant::now() + COMMAND_LIMIT;
        let receiver = self.send(line, count, until)?;
        let left = until.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(NoReply::Failed(error)),
            Err(RecvTimeoutError::Timeout) => Err(NoReply::Late),
            Err(RecvTimeoutError::Disconnected) => Err(NoReply::Ended),
        }
    }

    fn send(
        &self,
        line: &[u8],
        count: usize,
        until: Instant,
    ) -> Result<Receiver<Result<String, String>>, NoReply> {
        // Room for the one reply: the reader never waits for a caller.
        let (reply, receiver) = sync_channel(1);
        // Held over both steps: the order of the queue is the order of the lines.
        let input = locked(&self.input);
        {
            let mut waiting = self.queue.lock();
            if waiting.ended {
                return Err(NoReply::Ended);
            }
            waiting.callers.push_back(Caller { replies_left: count, output: String::new(), reply });
        }
        let line = [line, b"\n"].concat();
        let sent = write_all(&*input, &line, until);
        if sent.is_err() {
            // Half a line may stand in the pipe: nothing after it could be trusted.
            self.queue.end();
        }
        sent.map(|()| receiver)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.queue.end();
        let mut child = locked(&self.child);
        // The client holds nothing: its session, windows and panes stay.
        let _killed = child.kill();
        let _collected = child.wait();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        locked(&self.waiting)
    }

    /// Nobody will be answered any more: dropping the senders tells them.
    fn end(&self) {
        let mut waiting = self.lock();
        waiting.ended = true;
        waiting.callers.clear();
    }

    /// Gives one command's reply to whose turn it is; a line's last one, or its first error, ends the turn.
    fn deliver(&self, reply: Result<String, String>) {
        let mut waiting = self.lock();
        let Some(caller) = waiting.callers.front_mut() else { return };
        let failed = match reply {
            Ok(text) => {
                caller.output.push_str(&text);
                caller.replies_left = caller.replies_left.saturating_sub(1);
                None
            }
            Err(error) => Some(error),
        };
        if failed.is_none() && caller.replies_left > 0 {
            return;
        }
        if let Some(caller) = waiting.callers.pop_front() {
            // The caller may have given up; then nobody listens, which is fine.
            let _heard = caller.reply.try_send(failed.map_or(Ok(caller.output), Err));
        }
    }
}

/// A lock whose holder panicked still guards whole values here: each is changed in one step.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reader's whole life: until the stream ends, makes no sense, or nobody needs it.
fn read_all(output: &ChildStdout, stop: &PipeReader, queue: &Queue, doorbell: Option<&Doorbell>) {
    let ring = || doorbell.iter().for_each(|bell| bell());
    let mut blocks = Blocks::default();
    let mut buffer = vec![0_u8; 64 << 10];
    while let Some(count) = next_piece(output, stop, &mut buffer) {
        let Ok(events) = blocks.feed(&buffer[..count]) else { break };
        for event in events {
            match event {
                Event::Reply(reply) => queue.deliver(reply),
                Event::Notice(notice) if rings(&notice) => ring(),
                Event::Notice(_) => {}
            }
        }
    }
    queue.end();
    // The end of the server is news too.
    ring();
}

/// The size of the next piece; `None` when the stream ended or we are to stop.
fn next_piece(output: &ChildStdout, stop: &PipeReader, buffer: &mut [u8]) -> Option<usize> {
    loop {
        let mut fds = [PollFd::new(output, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) if !fds[1].revents().is_empty() => return None,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        match read(output, &mut *buffer) {
            Ok(0) => return None,
            Ok(count) => return Some(count),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return None,
        }
    }
}

/// Whether a notice may mean that a pane ended, went away or was moved.
fn rings(notice: &str) -> bool {
    const WORTH_A_LOOK: [&str; 7] = [
        "%exit",
        "%pane-mode-changed",
        "%session-changed",
        "%sessions-changed",
        "%subscription-changed",
        "%unlinked-window-close",
        "%window-close",
    ];
    WORTH_A_LOOK.contains(&notice.split(' ').next().unwrap_or_default())
}

/// Writes all of it by the deadline, or says that the stream can't be used any more.
fn write_all(to: impl AsFd, mut bytes: &[u8], until: Instant) -> Result<(), NoReply> {
    while !bytes.is_empty() {
        match write(&to, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let left = until.saturating_duration_since(Instant::now());
                let timeout = Timespec::try_from(left).map_err(|_| NoReply::Late)?;
                match poll(&mut [PollFd::new(&to, PollFlags::OUT)], Some(&timeout)) {
                    Ok(0) => return Err(NoReply::Late),
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(_) => return Err(NoReply::Ended),
                }
            }
            Err(_) => return Err(NoReply::Ended),
        }
    }
    Ok(())
}
