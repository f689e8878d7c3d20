//! Telling a person that something waits for them: once for each time it does.
//!
//! It listens beside the screen, to what is committed. What was told is noted in the run's
//! folder before anybody is told, so that a later life tells nothing twice; a crash in the
//! moment between the two leaves it to the screen, where each resume names what is open. It
//! leaves out the ways to tell (`way.rs`) and what there is to tell (`news.rs`).

mod news;
mod way;

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::progress::Progress;
use crate::engine::event::{ClaimStep, Event, RunEvent, TaskStep};
use crate::engine::state::RunState;
use crate::home::{Home, open_plain};
use crate::journal::Recorded;
use crate::supervisor::{Listener, Note, Resumed};
use crate::workflow::Notify;
use news::News;

/// What may wait to be told; more than that is on the screen alone.
const QUEUE: usize = 64;
/// How long the end of a run waits for what is being told.
const DRAIN: Duration = Duration::from_secs(6);
/// How often it looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The most that is read of what was told.
const TOLD_MAX: u64 = 4 << 20;

/// The screen, and whoever tells people beside it.
pub struct Voices {
    screen: Progress,
    notifier: Option<Notifier>,
}

impl Voices {
    /// `screen`, and the ways of the user's settings.
    #[must_use]
    pub fn new(screen: Progress, ways: Vec<Notify>, (home, run): (&Home, &str)) -> Self {
        let told = home.run(run).join("told");
        Self { screen, notifier: (!ways.is_empty()).then(|| Notifier::new(ways, told)) }
    }

    /// What couldn't be told, once for each way.
    fn complain(&mut self) {
        let Some(notifier) = &mut self.notifier else { return };
        for trouble in notifier.troubles() {
            self.screen.trouble(&trouble);
        }
    }
}

impl Listener for Voices {
    fn committed(&mut self, state: &RunState, batch: &[Recorded]) {
        self.screen.committed(state, batch);
        if let Some(notifier) = &mut self.notifier
            && batch.iter().any(|row| may_be_news(&row.event))
        {
            notifier.look(state);
        }
    }

    fn resumed(&mut self, resumed: &[Resumed]) {
        self.screen.resumed(resumed);
    }

    fn note(&mut self, note: &Note) {
        self.screen.note(note);
    }

    fn tick(&mut self, state: &RunState) {
        self.complain();
        self.screen.tick(state);
    }

    fn done(&mut self) {
        if let Some(notifier) = &mut self.notifier {
            notifier.drain();
        }
        self.complain();
        self.screen.done();
    }
}

/// Whether anything can have begun to wait by this event.
fn may_be_news(event: &Event) -> bool {
    match event {
        Event::Task(event) => matches!(event.step, TaskStep::Blocked | TaskStep::Asked),
        Event::Claim(event) => matches!(event.step, ClaimStep::Expired),
        Event::Evidence(_) => true,
        Event::Run(event) => matches!(event, RunEvent::Resumed { .. } | RunEvent::Ended { .. }),
        Event::Worker(_) | Event::Report(_) | Event::Ignored(_) => false,
    }
}

/// Tells, on a thread of its own: nothing that it waits for holds the loop up.
struct Notifier {
    queue: Option<SyncSender<News>>,
    troubles: Receiver<(usize, String)>,
    thread: Option<JoinHandle<()>>,
    /// Ways of which trouble was told.
    complained: BTreeSet<usize>,
    file: PathBuf,
    told: BTreeSet<String>,
    own: Vec<String>,
}

impl Notifier {
    fn new(ways: Vec<Notify>, file: PathBuf) -> Self {
        let (queue, news) = sync_channel(QUEUE);
        let (report, troubles) = channel();
        let told = read_told(&file);
        let thread = std::thread::Builder::new()
            .name("notify".to_owned())
            .spawn(move || tell_all(&ways, &news, &report));
        let (thread, own) = match thread {
            Ok(thread) => (Some(thread), Vec::new()),
            Err(error) => (None, vec![format!("nobody can be told of anything: no thread: {error}")]),
        };
        let complained = BTreeSet::new();
        Self { queue: Some(queue), troubles, thread, complained, file, told, own }
    }

    /// Tells what waits now and wasn't told before.
    fn look(&mut self, state: &RunState) {
        for news in news::all(state) {
            if !self.told.insert(news.key.clone()) {
                continue;
            }
            if let Err(error) = note(&self.file, &news.key) {
                self.own.push(format!("what was told can't be noted, and may be told again: {error}"));
            }
            let sent = self.queue.as_ref().map(|queue| queue.try_send(news));
            if let Some(Err(TrySendError::Full(news))) = sent {
                self.own.push(format!("too much waits to be told: {}", news.title));
            }
        }
    }

    fn troubles(&mut self) -> Vec<String> {
        let mut all = std::mem::take(&mut self.own);
        while let Ok((way, trouble)) = self.troubles.try_recv() {
            if self.complained.insert(way) {
                all.push(trouble);
            }
        }
        all
    }

    /// Waits, for a while, until all was told.
    fn drain(&mut self) {
        self.queue = None;
        let until = Instant::now() + DRAIN;
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished() && Instant::now() < until {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

fn tell_all(ways: &[Notify], news: &Receiver<News>, report: &Sender<(usize, String)>) {
    while let Ok(news) = news.recv() {
        for (index, way) in ways.iter().enumerate() {
            if let Err(why) = way::tell(way, &news) {
                let _ = report.send((index, format!("notify: {}: {why}", way::word(way))));
            }
        }
    }
}

/// What earlier lives have told; what can't be read was told to nobody.
fn read_told(file: &Path) -> BTreeSet<String> {
    let mut text = String::new();
    let opened = crate::home::read_plain(file).and_then(|file| file.take(TOLD_MAX).read_to_string(&mut text));
    if opened.is_err() {
        return BTreeSet::new();
    }
    text.lines().map(str::to_owned).collect()
}

fn note(file: &Path, key: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    let mut file: File = open_plain(file, &options)?;
    file.write_all(format!("{key}\n").as_bytes())
}
