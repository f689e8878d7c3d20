//! Signals as inputs: the first asks the loop to stop, the second ends the process.
//!
//! They are heard on a thread of their own, because the loop may be what hangs. It leaves
//! out the shim's signals, and how Ctrl-Z stops us (`suspend.rs`).

use std::io;

use nix::sys::signal::{SigSet, Signal as Number};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// The code of a run that was interrupted and can be resumed.
const INTERRUPTED: i32 = 4;
/// What asks for an end, and the name that is journaled.
const ENDING: [(Number, SignalKind, &str); 4] = [
    (Number::SIGINT, SignalKind::interrupt(), "SIGINT"),
    (Number::SIGTERM, SignalKind::terminate(), "SIGTERM"),
    (Number::SIGHUP, SignalKind::hangup(), "SIGHUP"),
    (Number::SIGQUIT, SignalKind::quit(), "SIGQUIT"),
];

/// Whoever asks this process to end.
#[derive(Debug)]
pub struct Signals {
    first: Option<UnboundedReceiver<&'static str>>,
}

impl Signals {
    /// Nobody: for a supervisor that shares its process with others.
    #[must_use]
    pub fn none() -> Self {
        Self { first: None }
    }

    /// Hears INT, TERM, HUP and QUIT from now on, before anything was started; a second one
    /// of any ends the process at once. Call it while the process has one thread.
    ///
    /// One that our parent had ignored stays ignored, as POSIX has it for `nohup` and for
    /// jobs in the background of a script. One that it had blocked is heard all the same.
    ///
    /// # Errors
    /// What the system says.
    pub fn take() -> io::Result<Self> {
        let ignored = ignored();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (sender, first) = tokio::sync::mpsc::unbounded_channel();
        {
            let _inside = runtime.enter();
            for (number, kind, name) in ENDING {
                if !holds(ignored, number) {
                    runtime.spawn(hear(signal(kind)?, name, sender.clone()));
                }
            }
            // Heard for their side effect alone. Where our parent ignored SIGCHLD, nobody could
            // see how our children end; the others would end us, and mean nothing here.
            let deaf = [SignalKind::child(), SignalKind::user_defined1(), SignalKind::user_defined2()];
            for kind in deaf.into_iter().chain([SignalKind::alarm()]) {
                runtime.spawn(each(signal(kind)?, || {}));
            }
            if !holds(ignored, Number::SIGTSTP) {
                let stop = SignalKind::from_raw(Number::SIGTSTP as i32);
                runtime.spawn(each(signal(stop)?, super::suspend::suspend));
            }
        }
        // Now that each has a handler, and before there is another thread to inherit the mask.
        SigSet::all().thread_unblock()?;
        let (pass, passed) = tokio::sync::mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(count(first, pass)))?;
        Ok(Self { first: Some(passed) })
    }

    /// The name of the first one; never returns where none comes.
    pub(super) async fn first(&mut self) -> &'static str {
        match &mut self.first {
            Some(first) => match first.recv().await {
                Some(name) => name,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// The same, for one that came already.
    pub(super) fn pending(&mut self) -> Option<&'static str> {
        self.first.as_mut()?.try_recv().ok()
    }
}

/// Makes the ends of our children visible where our parent had SIGCHLD ignored; otherwise
/// it costs one look.
pub fn see_children() {
    if !holds(ignored(), Number::SIGCHLD) {
        return;
    }
    // A handler stays for as long as the process does, whoever asked for it.
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() {
        let _inside = runtime.enter();
        let _ = signal(SignalKind::child());
    }
}

async fn hear(mut source: Signal, name: &'static str, sender: UnboundedSender<&'static str>) {
    while source.recv().await.is_some() {
        let _ = sender.send(name);
    }
}

async fn each(mut source: Signal, act: impl Fn()) {
    while source.recv().await.is_some() {
        act();
    }
}

async fn count(mut heard: UnboundedReceiver<&'static str>, pass: UnboundedSender<&'static str>) {
    if let Some(first) = heard.recv().await {
        let _ = pass.send(first);
    }
    if heard.recv().await.is_some() {
        // Every fact is journaled before it is acted on, so there is nothing to tidy up.
        std::process::exit(INTERRUPTED);
    }
    std::future::pending::<()>().await;
}

/// The signals that are ignored, one bit each; none where that can't be read.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    mask_in(&status).unwrap_or_default()
}

fn mask_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn holds(mask: u64, number: Number) -> bool {
    mask & (1 << (number as i32 - 1)) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_known_by_its_bit() {
        let mask = mask_in("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000011002\n").unwrap();
        assert!(holds(mask, Number::SIGINT) && holds(mask, Number::SIGCHLD) && holds(mask, Number::SIGPIPE));
        assert!(!holds(mask, Number::SIGHUP) && !holds(mask, Number::SIGTERM));
        assert_eq!(mask_in("Name:\tx\n"), None);
        assert_eq!(mask_in("SigIgn:\tx\n"), None);
    }
}
