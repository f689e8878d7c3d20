//! One handle's answer from a look, and the end of its tree.
//!
//! It leaves out the rule of identity itself, which is pure (`judge`).

use std::thread;
use std::time::Duration;

use ilchul_substrate::{Error, ErrorKind, Facts, State, Urgency};

use crate::judge::{Course, Known, Look, Place, course, locate};
use crate::panes::Pane;
use crate::process::{self, Life, life};
use crate::tree::{self, NotEnded};
use crate::{RELEASE, TmuxSession};

/// How often a look is repeated while tmux collects the exit of an ended process.
const SETTLE_LOOKS: usize = 20;
const SETTLE_PAUSE: Duration = Duration::from_millis(3);

impl TmuxSession {
    /// The state, and whether another look couldn't say more.
    fn answer(&self, known: &Known, look: &Look) -> (State, bool) {
        match locate(known, &self.here, look, life) {
            Place::Gone(_) => (State::Absent, true),
            Place::Dark(why) => (State::Unknown(why), true),
            // Another process in our pane says nothing about ours: it may have outlived the respawn.
            Place::Taken(why) => match known.ticks.map(|ticks| life(known.pid, ticks)) {
                Some(Life::Running) => {
                    (State::Unknown(format!("{why}, but process {} lives", known.pid)), true)
                }
                Some(Life::Unreadable(trouble)) => (State::Unknown(format!("{why}; {trouble}")), true),
                Some(Life::Zombie(_) | Life::Gone | Life::Replaced) | None => (State::Absent, true),
            },
            Place::Pane(pane) => {
                let now = known.ticks.map_or_else(|| unseen_life(pane), |ticks| life(known.pid, ticks));
                match course(pane, now) {
                    Course::Live => (State::Live(facts(known, pane)), true),
                    // The listing is older than the look at the process: tmux may have noted the exit between.
                    Course::Ended(exit) => (State::Ended(exit), exit.is_some()),
                    Course::Replaced => (State::Absent, true),
                    Course::Unreadable(why) => (State::Unknown(why), true),
                    Course::Unsettled => {
                        let text = format!("process {} has ended, tmux hasn't noted how", known.pid);
                        (State::Unknown(text), false)
                    }
                }
            }
        }
    }

    /// Looks until the answer is settled, a bounded number of times.
    pub(crate) fn settle(&self, known: &Known, first: &Look) -> State {
        let (mut state, mut settled) = self.answer(known, first);
        for _ in 0..SETTLE_LOOKS {
            if settled {
                break;
            }
            thread::sleep(SETTLE_PAUSE);
            (state, settled) = self.answer(known, &self.link.look_elsewhere(&known.socket));
            // Collected before this look began, and still without an exit: nobody knows it.
            settled = settled || state == State::Ended(None);
        }
        state
    }

    /// Ends what is proven to be the handle's, in words that name what is left.
    pub(crate) fn end_tree(&self, known: &Known, ticks: u64, urgency: Urgency) -> Result<(), Error> {
        let error = |kind, text: String| Err(Error::new(kind, RELEASE, text));
        match tree::end(known.pid, ticks, urgency, self.grace) {
            Ok(()) => Ok(()),
            Err(NotEnded::Inside) => {
                error(ErrorKind::Refused, format!("we run inside session `{}` ourselves", known.mark))
            }
            Err(NotEnded::Survivors(pids)) => {
                let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
                error(
                    ErrorKind::Io,
                    format!("processes of `{}` are still there: {}", known.mark, pids.join(", ")),
                )
            }
            Err(NotEnded::Unreadable(cause)) => Err(Error::io(RELEASE, "`/proc`", cause)),
        }
    }
}

/// A process that nobody saw begin: tmux alone says whether it is there.
fn unseen_life(pane: &Pane) -> Life {
    if pane.dead {
        Life::Gone
    } else {
        process::stat(pane.pid).map_or(Life::Gone, |now| now.map_or(Life::Gone, |_| Life::Running))
    }
}

/// The start ticks of a process that outlived its pane: same pid, same start, and still
/// the leader of the session that tmux began for it.
pub(crate) fn survivor(known: &Known) -> Option<u64> {
    let now = process::stat(known.pid).ok()??;
    let ticks = known.ticks?;
    (now.start_ticks == ticks && now.session == known.pid).then_some(ticks)
}

fn facts(known: &Known, pane: &Pane) -> Facts {
    Facts {
        pid: Some(known.pid),
        start_ticks: known.ticks,
        // Where it works is its own to change, and `/` until the trampoline has run.
        path: None,
        notes: vec![
            ("session", pane.session_name.clone()),
            ("window", pane.window.clone()),
            ("pane", pane.id.clone()),
        ],
    }
}
