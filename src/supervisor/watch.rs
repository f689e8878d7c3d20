//! The doorbell on mail: notify rings, nobody believes it.
//!
//! Each worker's folder is watched by itself; the callback only forwards. What is
//! true is read from the files, by the ring or by the rescan that runs regardless.
//! It leaves out reading.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use notify::event::{EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::UnboundedSender;

/// What rang.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ring {
    /// A file was renamed into, or written in, a watched folder.
    File(PathBuf),
    /// A folder is watched from now on: whatever was written there before didn't ring.
    Folder(PathBuf),
    /// Something was missed: look everywhere.
    Everything,
}

/// The watcher, on a thread of its own: setting a watch waits for notify's own thread, and
/// a launch has better things to do meanwhile.
#[derive(Debug, Clone)]
pub struct Watch {
    orders: Option<Sender<Order>>,
    trouble: Arc<Mutex<Option<String>>>,
}

#[derive(Debug)]
enum Order {
    Add(PathBuf),
    Remove(PathBuf),
}

impl Watch {
    /// A watcher that sends each ring to `rings`. Where watches can't be had, `trouble` says
    /// why, and only the rescan looks.
    pub fn new(rings: UnboundedSender<Ring>) -> Self {
        let trouble = Arc::new(Mutex::new(None));
        let callback_rings = rings.clone();
        let callback = move |event: notify::Result<Event>| {
            for ring in of_event(event) {
                // The receiver is gone only when the supervisor is on its way out.
                let _ = callback_rings.send(ring);
            }
        };
        let orders = match notify::recommended_watcher(callback) {
            Ok(watcher) => {
                // Unbounded: at most two orders for each worker, and whoever gives one must not wait.
                let (orders, received) = channel();
                let told = trouble.clone();
                std::thread::spawn(move || obey(watcher, &received, &rings, &told));
                Some(orders)
            }
            Err(error) => {
                tell(&trouble, &error);
                None
            }
        };
        Self { orders, trouble }
    }

    /// Watches one folder, not what is below it; soon. Once it is watched, the folder itself
    /// rings, because files may have been written before.
    pub fn add(&self, folder: &Path) {
        self.order(Order::Add(folder.to_owned()));
    }

    /// Stops watching one folder; one that isn't watched any more is no trouble.
    pub fn remove(&self, folder: &Path) {
        self.order(Order::Remove(folder.to_owned()));
    }

    fn order(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The thread ends only with the last of these.
            let _ = orders.send(order);
        }
    }

    /// Why something isn't watched, told once.
    #[must_use]
    pub fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().ok()?.take()
    }

    /// Whether anything is watched at all.
    #[must_use]
    pub fn is_deaf(&self) -> bool {
        self.orders.is_none()
    }
}

fn obey(
    mut watcher: RecommendedWatcher,
    orders: &Receiver<Order>,
    rings: &UnboundedSender<Ring>,
    trouble: &Mutex<Option<String>>,
) {
    for order in orders {
        match order {
            Order::Add(folder) => {
                if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
                    tell(trouble, &error);
                }
                let _ = rings.send(Ring::Folder(folder));
            }
            Order::Remove(folder) => {
                let _ = watcher.unwatch(&folder);
            }
        }
    }
}

fn tell(trouble: &Mutex<Option<String>>, error: &notify::Error) {
    if let Ok(mut trouble) = trouble.lock() {
        *trouble = Some(error.to_string());
    }
}

fn of_event(event: notify::Result<Event>) -> Vec<Ring> {
    let Ok(event) = event else { return vec![Ring::Everything] };
    if event.need_rescan() {
        return vec![Ring::Everything];
    }
    // Our own reading raises access events: they are no news. A rename into the folder is
    // the protocol's write; a close after writing is a worker that doesn't rename.
    let news = matches!(
        event.kind,
        EventKind::Modify(ModifyKind::Name(RenameMode::To))
            | EventKind::Access(notify::event::AccessKind::Close(notify::event::AccessMode::Write))
    );
    if news { event.paths.into_iter().map(Ring::File).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;

    #[tokio::test]
    async fn a_rename_into_a_watched_folder_rings_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap();
        std::fs::create_dir(folder.join(".tmp")).unwrap();
        let (send, mut rings) = unbounded_channel();
        let watch = Watch::new(send);
        watch.add(&folder);
        // The first ring says that the watch is in place.
        let ring = tokio::time::timeout(std::time::Duration::from_secs(10), rings.recv()).await;
        assert_eq!(ring.unwrap(), Some(Ring::Folder(folder.clone())));
        assert_eq!(watch.take_trouble(), None);
        std::fs::write(folder.join(".tmp/a"), b"{}").unwrap();
        std::fs::rename(folder.join(".tmp/a"), folder.join("a.json")).unwrap();
        let ring = tokio::time::timeout(std::time::Duration::from_secs(10), rings.recv()).await;
        assert_eq!(ring.unwrap(), Some(Ring::File(folder.join("a.json"))));
    }

    #[test]
    fn an_overflow_means_look_everywhere() {
        let overflow = Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan);
        assert_eq!(of_event(Ok(overflow)), [Ring::Everything]);
    }
}
