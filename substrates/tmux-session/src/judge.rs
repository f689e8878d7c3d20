//! From a handle and a look to an answer: the rule of identity, without any I/O of its own.
//!
//! A pane is the one that a handle names when the same life of the same server lists
//! it under the same id, with our mark and the pid that we started. What another
//! process began there (`respawn-pane`) isn't ours: absent once ours has ended.
//! It leaves out looking, and what to do about an answer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ilchul_substrate::{Error, ErrorKind, Exit, Handle, Mark};

use crate::panes::{Listing, Pane, ServerId};
use crate::process::Life;

pub(crate) const KIND: &str = "tmux";

/// Where we look from: what pids mean here and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Here {
    pub(crate) boot: String,
    pub(crate) pids: String,
}

/// What a handle knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) mark: Mark,
    pub(crate) socket: PathBuf,
    pub(crate) server: ServerId,
    pub(crate) server_ticks: u64,
    pub(crate) session: String,
    pub(crate) window: String,
    pub(crate) pane: String,
    pub(crate) pid: u32,
    /// `None`: it had ended before anybody could read it.
    pub(crate) ticks: Option<u64>,
    pub(crate) here: Here,
}

impl Known {
    /// Reads a handle; one of another kind or form is `Refused`.
    pub(crate) fn read(handle: &Handle) -> Result<Self, Error> {
        if handle.kind != KIND {
            let text = format!("`{}` is of kind `{}`", handle.mark, handle.kind);
            return Err(Error::new(ErrorKind::Refused, "read handle", text));
        }
        let number = |name: &str| -> Result<u64, Error> {
            handle.field(name)?.parse().map_err(|_| {
                let text = format!("field `{name}` of `{}` is no number", handle.mark);
                Error::new(ErrorKind::Refused, "read handle", text)
            })
        };
        let pid = |name: &str| -> Result<u32, Error> {
            u32::try_from(number(name)?).ok().filter(|pid| *pid > 1).ok_or_else(|| {
                let text = format!("field `{name}` of `{}` is no pid", handle.mark);
                Error::new(ErrorKind::Refused, "read handle", text)
            })
        };
        let text = |name: &str| handle.field(name).map(str::to_owned);
        let ticks = if handle.field("start_ticks")? == UNSEEN { None } else { Some(number("start_ticks")?) };
        Ok(Self {
            mark: handle.mark.clone(),
            socket: PathBuf::from(handle.field("socket")?),
            server: ServerId { pid: pid("server_pid")?, started: number("server_started")? },
            server_ticks: number("server_ticks")?,
            session: text("session")?,
            window: text("window")?,
            pane: text("pane")?,
            pid: pid("pid")?,
            ticks,
            here: Here { boot: text("boot_id")?, pids: text("pid_namespace")? },
        })
    }

    /// The handle that reads back as this.
    pub(crate) fn handle(&self) -> Handle {
        let ticks = self.ticks.map_or_else(|| UNSEEN.to_owned(), |ticks| ticks.to_string());
        let fields: BTreeMap<String, String> = [
            ("socket", self.socket.to_string_lossy().into_owned()),
            ("server_pid", self.server.pid.to_string()),
            ("server_started", self.server.started.to_string()),
            ("server_ticks", self.server_ticks.to_string()),
            ("session", self.session.clone()),
            ("window", self.window.clone()),
            ("pane", self.pane.clone()),
            ("pid", self.pid.to_string()),
            ("start_ticks", ticks),
            ("boot_id", self.here.boot.clone()),
            ("pid_namespace", self.here.pids.clone()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        Handle { mark: self.mark.clone(), kind: KIND.to_owned(), id: self.pane.clone(), fields }
    }
}

/// The start of a process that ended before its start could be read.
pub(crate) const UNSEEN: &str = "unseen";

/// A look at one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look {
    /// It answered.
    Server(Listing),
    /// No server listens there.
    NoServer(String),
    /// The look failed: nothing is proven.
    Dark(String),
}

/// Where the thing of a handle is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Proven: this pane.
    Pane(&'a Pane),
    /// Proven gone with its pane, its server or its boot.
    Gone(&'static str),
    /// The pane's id is there, but isn't ours any more.
    Taken(String),
    /// Nothing is proven.
    Dark(String),
}

/// Finds the place; `life` answers whether a process (pid, start ticks) is still there.
pub(crate) fn locate<'a>(
    known: &Known,
    here: &Here,
    look: &'a Look,
    life: impl Fn(u32, u64) -> Life,
) -> Place<'a> {
    if known.here.boot != here.boot {
        return Place::Gone("the machine was booted since");
    }
    if known.here.pids != here.pids {
        return Place::Dark("it was made in another pid namespace".to_owned());
    }
    let why = match look {
        Look::Server(listing) if listing.server == known.server => return in_listing(known, listing),
        Look::Server(listing) => {
            format!("server {} answers at `{}`", listing.server.pid, known.socket.display())
        }
        Look::NoServer(why) | Look::Dark(why) => why.clone(),
    };
    match life(known.server.pid, known.server_ticks) {
        Life::Gone | Life::Zombie(_) | Life::Replaced => Place::Gone("its server is gone"),
        Life::Running => Place::Dark(format!("server {} lives, but {why}", known.server.pid)),
        Life::Unreadable(trouble) => Place::Dark(format!("{why}; {trouble}")),
    }
}

fn in_listing<'a>(known: &Known, listing: &'a Listing) -> Place<'a> {
    match listing.panes.get(&known.pane) {
        None => Place::Gone("its pane is gone"),
        Some(pane) if pane.mark.as_ref() != Some(&known.mark) => {
            Place::Taken(format!("pane {} doesn't carry the mark `{}`", known.pane, known.mark))
        }
        Some(pane) if pane.pid != known.pid => {
            Place::Taken(format!("pane {} runs process {}, not {}", known.pane, pane.pid, known.pid))
        }
        Some(pane) => Place::Pane(pane),
    }
}

/// What is known of the process of a proven pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Course {
    Live,
    Ended(Option<Exit>),
    /// The pid has another start: another process.
    Replaced,
    /// It has ended, and tmux hasn't noted how: look again.
    Unsettled,
    Unreadable(String),
}

/// How far a proven pane's process has come.
pub(crate) fn course(pane: &Pane, life: Life) -> Course {
    match (pane.dead, pane.exit, life) {
        // It gave up its terminal but lives on.
        (true, None, Life::Running) | (false, _, Life::Running) => Course::Live,
        (true, Some(exit), _) => Course::Ended(Some(exit)),
        // Reaped without a status: a tmux too old to tell signals.
        (true, None, Life::Gone | Life::Replaced) => Course::Ended(None),
        // tmux (3.3a measured) now and then misses the end of a process that ends at once, and notes
        // it only when another one ends; the kernel keeps the exit until then.
        (_, None, Life::Zombie(Some(exit))) | (false, Some(_), Life::Zombie(Some(exit))) => {
            Course::Ended(Some(exit))
        }
        (true, None, Life::Zombie(None)) | (false, _, Life::Zombie(None) | Life::Gone) => Course::Unsettled,
        (false, _, Life::Replaced) => Course::Replaced,
        (_, _, Life::Unreadable(why)) => Course::Unreadable(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panes::Listing;

    fn known() -> Known {
        Known {
            mark: "ilchul.r1.a.1".parse().unwrap(),
            socket: "/tmp/s".into(),
            server: ServerId { pid: 50, started: 1000 },
            server_ticks: 5,
            session: "$1".to_owned(),
            window: "@3".to_owned(),
            pane: "%5".to_owned(),
            pid: 77,
            ticks: Some(99),
            here: here(),
        }
    }

    fn here() -> Here {
        Here { boot: "b".to_owned(), pids: "pid:[1]".to_owned() }
    }

    fn look(server: (u32, u64), line: &str) -> Look {
        Look::Server(Listing::new(ServerId { pid: server.0, started: server.1 }, [line], "r1"))
    }

    const OURS: &str = "%5:77:0:::@3:2:$1:n:r1:99:1:ilchul.r1.a.1";

    fn place(look: &Look, life: &Life) -> String {
        match locate(&known(), &here(), look, |_, _| life.clone()) {
            Place::Pane(pane) => format!("pane {}", pane.id),
            Place::Gone(why) => format!("gone: {why}"),
            Place::Taken(why) => format!("taken: {why}"),
            Place::Dark(why) => format!("dark: {why}"),
        }
    }

    #[test]
    fn a_handle_reads_back_as_it_was_written() {
        for ticks in [Some(99), None] {
            let known = Known { ticks, ..known() };
            assert_eq!(Known::read(&known.handle()).unwrap(), known);
        }
    }

    #[test]
    fn a_handle_of_another_form_is_refused() {
        let mut foreign = known().handle();
        foreign.kind = "subprocess".to_owned();
        assert_eq!(Known::read(&foreign).unwrap_err().kind(), ErrorKind::Refused);
        for name in known().handle().fields.keys() {
            let mut short = known().handle();
            short.fields.remove(name);
            assert_eq!(Known::read(&short).unwrap_err().kind(), ErrorKind::Refused, "{name}");
        }
        for pid in ["0", "1", "-1", "x", "4294967296"] {
            let mut odd = known().handle();
            odd.fields.insert("pid".to_owned(), pid.to_owned());
            assert_eq!(Known::read(&odd).unwrap_err().kind(), ErrorKind::Refused, "{pid}");
        }
    }

    #[test]
    fn l19_a_pane_is_ours_by_server_and_id_and_mark() {
        assert_eq!(place(&look((50, 1000), OURS), &Life::Running), "pane %5");
        let other_mark = OURS.replace("a.1", "a.10");
        assert!(place(&look((50, 1000), &other_mark), &Life::Running).starts_with("taken"));
        let other_pid = OURS.replace(":77:", ":78:");
        assert!(place(&look((50, 1000), &other_pid), &Life::Running).starts_with("taken"));
        assert!(place(&look((50, 1000), ""), &Life::Running).starts_with("gone"));
        // Another life of a server counts its panes from %0 again.
        for server in [(50, 1001), (51, 1000)] {
            assert_eq!(place(&look(server, OURS), &Life::Gone), "gone: its server is gone");
            assert!(place(&look(server, OURS), &Life::Running).starts_with("dark"));
        }
    }

    #[test]
    fn l9_a_failed_look_is_never_absence_while_the_server_lives() {
        for look in [Look::NoServer("no socket".to_owned()), Look::Dark("late".to_owned())] {
            assert!(place(&look, &Life::Running).starts_with("dark"));
            assert!(place(&look, &Life::Unreadable("x".to_owned())).starts_with("dark"));
            for ended in [Life::Gone, Life::Zombie(None), Life::Replaced] {
                assert_eq!(place(&look, &ended), "gone: its server is gone");
            }
        }
    }

    #[test]
    fn pids_of_another_namespace_prove_nothing_and_those_of_another_boot_are_gone() {
        let elsewhere = Here { pids: "pid:[2]".to_owned(), ..here() };
        let seen = look((50, 1000), OURS);
        assert!(matches!(locate(&known(), &elsewhere, &seen, |_, _| Life::Gone), Place::Dark(_)));
        let later = Here { boot: "c".to_owned(), ..elsewhere };
        assert!(matches!(locate(&known(), &later, &seen, |_, _| Life::Running), Place::Gone(_)));
    }

    #[test]
    fn a_course_needs_both_tmux_and_the_process() {
        let pane = |dead: bool, exit| Pane { dead, exit, ..crate::panes::parse_pane(OURS).unwrap() };
        let code = Some(Exit::Code(3));
        assert_eq!(course(&pane(false, None), Life::Running), Course::Live);
        assert_eq!(course(&pane(true, None), Life::Running), Course::Live, "its terminal is gone, it isn't");
        assert_eq!(course(&pane(true, code), Life::Gone), Course::Ended(code));
        assert_eq!(course(&pane(true, code), Life::Replaced), Course::Ended(code));
        assert_eq!(course(&pane(true, None), Life::Gone), Course::Ended(None));
        assert_eq!(course(&pane(true, None), Life::Zombie(None)), Course::Unsettled);
        for dead in [true, false] {
            assert_eq!(course(&pane(dead, None), Life::Zombie(code)), Course::Ended(code));
        }
        assert_eq!(course(&pane(false, None), Life::Gone), Course::Unsettled);
        assert_eq!(course(&pane(false, None), Life::Replaced), Course::Replaced);
    }
}
