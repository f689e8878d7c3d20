//! The doorbell of readers: it rings when somebody writes the journal.
//!
//! It says that somebody should look, and no more: who follows looks now and then regardless.
//! It leaves out reading.

use std::path::Path;

use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::home::Home;

/// A watch on a home's journal, for as long as it is held.
#[derive(Debug)]
pub struct JournalBell {
    _watcher: RecommendedWatcher,
}

impl JournalBell {
    /// Calls `ring` after each write, on a thread of its own; `None` where nothing can be
    /// watched, and only looking now and then is left.
    #[must_use]
    pub fn new(home: &Home, ring: impl Fn() + Send + 'static) -> Option<Self> {
        let journal = home.journal();
        let name = journal.file_name()?.to_string_lossy().into_owned();
        let callback = move |event: notify::Result<Event>| {
            if is_news(event, &name) {
                ring();
            }
        };
        let mut watcher = notify::recommended_watcher(callback).ok()?;
        // The folder, not the file: the write-ahead log beside it comes and goes.
        watcher.watch(home.root(), RecursiveMode::NonRecursive).ok()?;
        Some(Self { _watcher: watcher })
    }
}

/// Whether it may mean new rows. What was missed may.
fn is_news(event: notify::Result<Event>, journal: &str) -> bool {
    let Ok(event) = event else { return true };
    // Readers open these files as well, and map the index beside the log: no news.
    let written = matches!(event.kind, EventKind::Modify(ModifyKind::Data(_)) | EventKind::Create(_));
    let is_ours = |path: &Path| {
        let rest = path.file_name().and_then(|name| name.to_str()?.strip_prefix(journal));
        matches!(rest, Some("" | "-wal"))
    };
    event.need_rescan() || (written && event.paths.iter().any(|path| is_ours(path)))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_write_rings_and_what_others_do_beside_the_journal_doesnt() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let (sender, rings) = channel();
        let bell = JournalBell::new(&home, move || sender.send(()).unwrap());
        assert!(bell.is_some());
        for other in ["lock", "journal.db-shm"] {
            std::fs::write(root.path().join(other), "x").unwrap();
        }
        std::fs::write(root.path().join("journal.db-wal"), "row").unwrap();
        rings.recv_timeout(Duration::from_secs(30)).unwrap();
        let data = |path: &str| {
            let kind = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
            is_news(Ok(Event::new(kind).add_path(path.into())), "journal.db")
        };
        let told = ["/h/journal.db", "/h/journal.db-wal", "/h/journal.db-shm", "/h/lock", "/h"].map(data);
        assert_eq!(told, [true, true, false, false, false]);
        assert!(is_news(Err(notify::Error::generic("overflow")), "journal.db"));
    }
}
