//! The dashboard's loop: it waits for a key, for news or for the time, and draws what changed.

use std::time::{Duration, Instant};

use ratatui::backend::Backend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::Global;
use super::super::error::CliError;
use super::super::exit_code::Exit;
use super::away;
use super::feed::Feed;
use super::fetch::{self, Log};
use super::input::Keys;
use super::news::{self, Inbox, News, Post};
use super::terminal::Terminal;
use crate::dash::{Dash, Key, Kind, Topic, Wish};
use crate::render::table::Tone;
use crate::supervisor::journal_bell::JournalBell;
use crate::supervisor::suspend;

/// How often heartbeats are read and ages move on.
const TICK: Duration = Duration::from_secs(1);
/// How often the journal is looked at where nothing rings.
const DEAF: Duration = Duration::from_millis(250);
/// How often a log that is shown is looked at.
const LOG_EVERY: Duration = Duration::from_millis(200);
/// How soon the rest of a key follows its Escape.
const REST_OF_KEY: Duration = Duration::from_millis(40);
/// After a look that took so long, the next rests so many times as long: a run of ten thousand
/// tasks that changes all the time must leave time for keys.
const REST: u32 = 4;

/// The dashboard at work.
pub(super) struct Loop {
    global: Global,
    feed: Feed,
    dash: Dash,
    terminal: Terminal,
    inbox: Inbox,
    post: Post,
    keys: Keys,
    bell: Option<JournalBell>,
    /// The journal was written, and nobody has looked since.
    rang: bool,
    looked: Instant,
    rests_until: Instant,
    ticked: Instant,
    log: Option<Log>,
    /// The text that is being fetched, and the one that is there.
    fetching: Option<Topic>,
    fetched: Option<Topic>,
    exit: Option<Exit>,
}

impl Loop {
    /// Takes the terminal.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new(global: &Global, mut feed: Feed, color: bool) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::new("terminal", format!("take the terminal: {error}"));
        let (post, inbox) = news::post().map_err(failed)?;
        news::hear_signals(&post).map_err(failed)?;
        let ring = post.clone();
        let bell = JournalBell::new(&feed.read.place.home, move || ring.journal());
        let look = feed.first();
        let mut terminal = Terminal::take(color).map_err(failed)?;
        let lines = terminal.screen.backend_mut().size().map_err(failed)?.height;
        let now = Instant::now();
        Ok(Self {
            global: global.clone(),
            dash: Dash::new(look, feed.is_named(), lines),
            feed,
            terminal,
            inbox,
            post,
            keys: Keys::default(),
            bell,
            // What was written between the first look and the bell didn't ring.
            rang: true,
            looked: now,
            rests_until: now,
            ticked: now,
            log: None,
            fetching: None,
            fetched: None,
            exit: None,
        })
    }

    /// Runs until somebody leaves.
    ///
    /// # Errors
    /// When the journal or the terminal can't be used any more.
    pub(super) fn run(mut self) -> Result<Exit, CliError> {
        loop {
            self.look()?;
            self.texts();
            self.terminal.screen.draw(&mut self.dash).map_err(|error| lost(&error))?;
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            self.wait()?;
        }
    }

    /// Looks at the journal if it was written, or if it is time to.
    fn look(&mut self) -> Result<(), CliError> {
        let now = Instant::now();
        let every = if self.bell.is_some() { TICK } else { DEAF };
        if (self.rang && now >= self.rests_until) || now - self.looked >= every {
            self.rang = false;
            if let Some(look) = self.feed.look()? {
                self.dash.observe(look);
                self.ticked = now;
            }
            self.looked = Instant::now();
            self.rests_until = self.looked + (self.looked - now) * REST;
        }
        if now - self.ticked >= TICK {
            self.ticked = now;
            let (beside, progress, now_ms) = self.feed.pulse();
            self.dash.pulse(beside, progress, now_ms);
        }
        Ok(())
    }

    /// Sees to it that the text that is wanted comes.
    fn texts(&mut self) {
        let topic = self.dash.topic();
        let wanted = topic.as_ref().filter(|topic| topic.kind == Kind::Log);
        if self.log.as_ref().map(Log::topic) != wanted {
            self.log = wanted.map(|topic| Log::new(&self.feed, topic.clone()));
        }
        if let Some(text) = self.log.as_mut().and_then(Log::look) {
            self.dash.put(&text.topic, &text.text, &text.note);
        }
        if let Some(topic) = topic.filter(|topic| topic.kind != Kind::Log)
            // One at a time: whoever runs through the list is only shown where they stop.
            && self.fetching.is_none()
            && self.fetched.as_ref() != Some(&topic)
        {
            self.fetching = Some(topic.clone());
            fetch::begin(&self.global, &self.feed, topic, &self.post);
        }
    }

    /// Waits for whatever comes first, and takes it in.
    fn wait(&mut self) -> Result<(), CliError> {
        let now = Instant::now();
        let mut until = (self.ticked + TICK).min(self.looked + if self.bell.is_some() { TICK } else { DEAF });
        if self.rang {
            until = until.min(self.rests_until);
        }
        if self.log.is_some() {
            until = until.min(now + LOG_EVERY);
        }
        if self.keys.is_waiting() {
            until = until.min(now + REST_OF_KEY);
        }
        let span = Timespec::try_from(until.saturating_duration_since(now)).ok();
        let stdin = std::io::stdin();
        let mut watched = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(&self.inbox.pipe, PollFlags::IN)];
        // Interrupted by a signal: its own news say so.
        let _ = poll(&mut watched, span.as_ref());
        let (keys, news) = (watched[0].revents(), watched[1].revents());
        let (news, rang) = self.inbox.empty(!news.is_empty());
        self.rang |= rang;
        for news in news {
            self.take(news)?;
        }
        if keys.contains(PollFlags::IN) {
            return self.keys();
        }
        if !keys.is_empty() {
            // Nobody sits there any more.
            self.exit = Some(Exit::Interrupted);
        }
        if self.keys.is_waiting()
            && Instant::now() >= now + REST_OF_KEY
            && let Some(key) = self.keys.settle()
        {
            self.press(key)?;
        }
        Ok(())
    }

    fn keys(&mut self) -> Result<(), CliError> {
        let mut bytes = [0; 1024];
        let read = match rustix::io::read(std::io::stdin(), &mut bytes) {
            Ok(0) => {
                self.exit = Some(Exit::Interrupted);
                return Ok(());
            }
            Ok(read) => read,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => 0,
            Err(error) => return Err(lost(&error.into())),
        };
        for key in self.keys.push(&bytes[..read]) {
            if self.exit.is_none() {
                self.press(key)?;
            }
        }
        Ok(())
    }

    fn press(&mut self, key: Key) -> Result<(), CliError> {
        match self.dash.key(key) {
            Some(wish) => self.grant(wish),
            None => Ok(()),
        }
    }

    fn take(&mut self, news: News) -> Result<(), CliError> {
        match news {
            // The next picture asks for the size.
            News::Resized => {}
            News::End => self.exit = Some(Exit::Interrupted),
            News::Stop => self.suspend()?,
            News::Fetched(text) => {
                self.dash.put(&text.topic, &text.text, &text.note);
                self.fetching = None;
                self.fetched = Some(text.topic);
            }
            News::Decided(words, granted) => {
                self.dash.say(&words, if granted { Tone::Good } else { Tone::Bad });
                self.rang = true;
            }
        }
        Ok(())
    }

    fn grant(&mut self, wish: Wish) -> Result<(), CliError> {
        match wish {
            Wish::Quit => self.exit = Some(Exit::Done),
            Wish::Suspend => self.suspend()?,
            Wish::Redraw => self.terminal.screen.forget(),
            Wish::Act(act, task) => {
                let run = self.dash.run().to_owned();
                away::decide(&self.global, &run, (act, task), &self.post);
            }
            Wish::Reply(task, text) => {
                let run = self.dash.run().to_owned();
                away::reply(&self.global, &run, (task, text), &self.post);
            }
            Wish::Attach(worker) => match away::attach(&self.feed.read, &worker, &mut self.terminal) {
                Ok(words) => self.dash.say(&words, Tone::Plain),
                Err(error) if error.code == "terminal" => return Err(error),
                Err(error) => {
                    let message = error.message.trim_end_matches('.');
                    self.dash.say(&format!("Failed to {message}. `l` shows its log."), Tone::Bad);
                }
            },
        }
        Ok(())
    }

    /// Gives the terminal back to the shell until somebody continues us.
    fn suspend(&mut self) -> Result<(), CliError> {
        self.terminal.leave();
        suspend::suspend();
        self.terminal.enter().map_err(|error| lost(&error))
    }
}

fn lost(error: &std::io::Error) -> CliError {
    CliError::new("terminal", format!("use the terminal: {error}")).exit(Exit::Interrupted)
}
