//! What reaches the dashboard from other threads, and how it is woken for it.
//!
//! One queue, and one pipe that is readable while somebody has something to say. It leaves
//! out keys, which are read where they are waited for.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio::signal::unix::{SignalKind, signal};

use super::fetch::Fetched;

/// Something that happened elsewhere.
#[derive(Debug)]
pub(super) enum News {
    /// The terminal has another size.
    Resized,
    /// Somebody asks us to end.
    End,
    /// Somebody asks us to stop for a while.
    Stop,
    /// A text is there.
    Fetched(Fetched),
    /// A decision was answered: what to tell, and whether it was granted.
    Decided(String, bool),
}

/// Where news are handed in.
#[derive(Debug, Clone)]
pub(super) struct Post {
    news: Sender<News>,
    pipe: Arc<PipeWriter>,
    /// A byte is in the pipe: one is enough.
    awake: Arc<AtomicBool>,
    /// The journal was written. A flag, because it may be written a thousand times meanwhile.
    journal: Arc<AtomicBool>,
}

impl Post {
    /// Hands one in. Nobody may be there any more to read it.
    pub(super) fn send(&self, news: News) {
        let _ = self.news.send(news);
        self.wake();
    }

    /// Says that the journal was written.
    pub(super) fn journal(&self) {
        self.journal.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if !self.awake.swap(true, Ordering::SeqCst) {
            let _ = (&*self.pipe).write_all(&[0]);
        }
    }
}

/// Where news come out.
#[derive(Debug)]
pub(super) struct Inbox {
    news: Receiver<News>,
    /// Readable while there is something.
    pub(super) pipe: PipeReader,
    awake: Arc<AtomicBool>,
    journal: Arc<AtomicBool>,
}

impl Inbox {
    /// Everything that was handed in, and whether the journal was written.
    pub(super) fn empty(&mut self, readable: bool) -> (Vec<News>, bool) {
        if readable {
            // The flag first makes room for another byte, then the queue is read: what is
            // handed in between is either read here or rings again.
            let _ = self.pipe.read(&mut [0; 16]);
            self.awake.store(false, Ordering::SeqCst);
        }
        (self.news.try_iter().collect(), self.journal.swap(false, Ordering::SeqCst))
    }
}

/// A new pair.
///
/// # Errors
/// What the system says.
pub(super) fn post() -> io::Result<(Post, Inbox)> {
    let (pipe, writer) = io::pipe()?;
    let (sender, news) = channel();
    let (awake, journal) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let post = Post { news: sender, pipe: Arc::new(writer), awake: awake.clone(), journal: journal.clone() };
    Ok((post, Inbox { news, pipe, awake, journal }))
}

/// Hears the signals that a terminal's program should, on a thread of its own.
///
/// # Errors
/// What the system says.
pub(super) fn hear_signals(post: &Post) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let kinds: [(SignalKind, fn() -> News); 6] = [
        (SignalKind::window_change(), || News::Resized),
        (SignalKind::interrupt(), || News::End),
        (SignalKind::terminate(), || News::End),
        (SignalKind::hangup(), || News::End),
        (SignalKind::quit(), || News::End),
        (SignalKind::from_raw(nix::sys::signal::Signal::SIGTSTP as i32), || News::Stop),
    ];
    {
        let _inside = runtime.enter();
        for (kind, news) in kinds {
            let (mut source, post) = (signal(kind)?, post.clone());
            runtime.spawn(async move {
                while source.recv().await.is_some() {
                    post.send(news());
                }
            });
        }
    }
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_wake_once_and_none_is_lost() {
        let (post, mut inbox) = post().unwrap();
        for _ in 0..100_000 {
            // A pipe has no room for so many bytes: nobody may wait for its reader.
            post.journal();
        }
        post.send(News::Resized);
        let (news, journal) = inbox.empty(true);
        assert!(matches!(news[..], [News::Resized]) && journal);
        post.send(News::End);
        let (news, journal) = inbox.empty(true);
        assert!(matches!(news[..], [News::End]) && !journal, "it is woken again");
    }
}
