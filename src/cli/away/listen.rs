//! What whoever follows hears: the other side's lines, and Ctrl-C.
//!
//! It leaves out what either means.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use crate::host::Past;

/// The longest line: a thousand rows.
const LINE_MAX: u64 = 256 << 20;

/// What came beside the words.
#[derive(Default)]
pub(super) struct Said {
    pub(super) word: Option<String>,
    pub(super) err: Vec<u8>,
}

/// Reads the child's lines on threads of their own.
pub(super) fn read(child: &mut Child) -> (Receiver<Said>, Receiver<String>) {
    let (lines, received) = sync_channel(16);
    let (said, heard) = sync_channel(1);
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let errors = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = err.map(|err| err.take(64 << 10).read_to_end(&mut bytes));
        bytes
    });
    thread::spawn(move || {
        let mut past = Past::default();
        let mut out = BufReader::new(
            out.map(|out| Box::new(out) as Box<dyn Read + Send>).unwrap_or(Box::new(std::io::empty())),
        );
        let mut line = Vec::new();
        loop {
            line.clear();
            match out.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
            let ours = past.feed(&line);
            // Half a line is the end of a link that broke.
            if ours.ends_with(b"\n") && lines.send(String::from_utf8_lossy(ours).into_owned()).is_err() {
                break;
            }
        }
        let word = past.said().map(str::to_owned);
        // First what it was, then that it is over: whoever waits for the lines reads both.
        let _ = said.send(Said { word, err: errors.join().unwrap_or_default() });
        drop(lines);
    });
    (heard, received)
}

/// Sets the flag at the first signal that asks for an end.
pub(super) fn hear(stopped: &Arc<AtomicBool>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    for kind in kinds {
        let _inside = runtime.enter();
        let (mut source, stopped) = (signal(kind)?, stopped.clone());
        runtime.spawn(async move {
            while source.recv().await.is_some() {
                stopped.store(true, Ordering::Relaxed);
            }
        });
    }
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(())
}
