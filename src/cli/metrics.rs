//! `up --metrics FILE`: what a supervisor counts, for Prometheus's node exporter or any reader.
//!
//! Beside the voice of `up`, at a calm rhythm, on a thread of its own: a slow disk slows down
//! nobody's work. It leaves out the words (`render/metrics.rs`).

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::{output, trace};
use crate::engine::event::{Event, ReportStep, RunEvent};
use crate::engine::state::RunState;
use crate::journal::Recorded;
use crate::render::metrics::{Life, text};
use crate::supervisor::clock::wall_ms;
use crate::supervisor::{Listener, Note, Resumed};

/// How long a page stands at least, in milliseconds, while the run goes on.
const EVERY_MS: i64 = 5000;

/// A listener that also counts.
struct Counted {
    inner: Box<dyn Listener>,
    life: Life,
    written_ms: i64,
    page: String,
    /// One page waits at most: a newer one is made later anyway.
    pages: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
    path: PathBuf,
}

/// `inner`, and what it is told counted into `path`, where one is named.
pub fn beside(path: Option<&Path>, inner: Box<dyn Listener>) -> Box<dyn Listener> {
    let Some(path) = path else { return inner };
    let (pages, written) = sync_channel::<String>(1);
    let to = path.to_owned();
    let writer = std::thread::spawn(move || {
        let mut told = false;
        for page in written {
            if let Err(error) = trace::replace(&to, page.as_bytes())
                && !std::mem::replace(&mut told, true)
            {
                output::talk(&format!("The metrics can't be written to {}: {error}.", to.display()));
            }
        }
    });
    let now = wall_ms();
    let life = Life { started_ms: now, ..Life::default() };
    let (pages, writer) = (Some(pages), Some(writer));
    Box::new(Counted {
        inner,
        life,
        written_ms: 0,
        page: String::new(),
        pages,
        writer,
        path: path.to_owned(),
    })
}

impl Counted {
    fn count(&mut self, batch: &[Recorded]) {
        self.life.batches += 1;
        self.life.events += batch.len() as u64;
        for row in batch {
            if let Event::Report(event) = &row.event {
                match event.step {
                    ReportStep::Accepted { .. } => self.life.accepted += 1,
                    ReportStep::Refused { .. } => self.life.refused += 1,
                }
            }
        }
    }

    fn put(&mut self, state: &RunState) {
        self.life.now_ms = wall_ms();
        self.written_ms = self.life.now_ms;
        self.page = text(state, &self.life);
        if let Some(pages) = &self.pages {
            // A writer that is behind has the one before: the next page comes soon enough.
            let _ = pages.try_send(self.page.clone());
        }
    }
}

/// Whether a page that doesn't say so would mislead: the run begins, or is let go of.
fn is_turn(event: &Event) -> bool {
    use RunEvent as E;
    matches!(
        event,
        Event::Run(
            E::Started(_) | E::Resumed { .. } | E::Interrupted { .. } | E::Ended { .. } | E::Reopened { .. }
        )
    )
}

impl Listener for Counted {
    fn committed(&mut self, state: &RunState, batch: &[Recorded]) {
        self.inner.committed(state, batch);
        self.count(batch);
        if batch.iter().any(|row| is_turn(&row.event))
            || wall_ms().saturating_sub(self.written_ms) >= EVERY_MS
        {
            self.put(state);
        }
    }

    fn resumed(&mut self, resumed: &[Resumed]) {
        self.inner.resumed(resumed);
    }

    fn note(&mut self, note: &Note) {
        self.inner.note(note);
    }

    fn tick(&mut self, state: &RunState) {
        self.inner.tick(state);
        if wall_ms().saturating_sub(self.written_ms) >= EVERY_MS {
            self.put(state);
        }
    }

    fn done(&mut self) {
        self.inner.done();
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // The last page is the one that stays, so it isn't left to a writer that may be behind.
        drop(self.pages.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        if !self.page.is_empty() {
            let _ = trace::replace(&self.path, self.page.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Ignored;
    use crate::engine::moment::Stamp;

    struct Deaf;

    impl Listener for Deaf {
        fn committed(&mut self, _state: &RunState, _batch: &[Recorded]) {}
        fn note(&mut self, _note: &Note) {}
        fn tick(&mut self, _state: &RunState) {}
    }

    #[test]
    fn what_is_no_turn_of_the_run_waits_for_the_rhythm() {
        let ignored = Ignored { worker: None, input: "x".into(), code: "y".into(), detail: "z".into() };
        assert!(!is_turn(&Event::Ignored(ignored)));
        assert!(!is_turn(&Event::Run(RunEvent::Stopping { force: false })));
        assert!(is_turn(&Event::Run(RunEvent::Ended { success: true, halted: None })));
    }

    #[test]
    fn events_and_commits_are_counted_and_a_folder_that_is_gone_stops_nobody() {
        let (pages, _kept) = sync_channel(1);
        let mut counted = Counted {
            inner: Box::new(Deaf),
            life: Life::default(),
            written_ms: 0,
            page: "a page".into(),
            pages: Some(pages),
            writer: None,
            path: "/no/such/folder/metrics.prom".into(),
        };
        let event = || Event::Run(RunEvent::Stopping { force: false });
        let row = |seq| Recorded { seq, at: Stamp::default(), event: event() };
        counted.count(&[row(1), row(2)]);
        counted.count(&[row(3)]);
        assert_eq!((counted.life.events, counted.life.batches), (3, 2));
    }
}
