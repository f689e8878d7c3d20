//! Finding a window by its mark, making it where there is none, and the handle of either.
//!
//! It leaves out the words of the commands (`make`) and taking turns (`lib`).

use ilchul_substrate::{Error, ErrorKind, Handle, Mark, SessionSpec};

use crate::judge::{Known, Look, UNSEEN};
use crate::link::Told;
use crate::make::{self, List};
use crate::panes::{Listing, Pane, parse_server};
use crate::process;
use crate::server::COMMAND_LIMIT;
use crate::{ENSURE, TmuxSession};

impl TmuxSession {
    /// The handle of the one whole window with this mark, if there is any.
    ///
    /// Two of them, or a half-made one, are a person's to sort out: adopting either
    /// could make two workers of one attempt.
    fn find(&self, mark: &Mark, listing: &Listing) -> Result<Option<Handle>, Error> {
        let conflict = |text: String| Err(Error::new(ErrorKind::Conflict, ENSURE, text));
        match listing.marked(mark)[..] {
            [] => Ok(None),
            [pane] if !pane.made => conflict(format!("pane {} with mark `{mark}` is half made", pane.id)),
            [pane] => self.handle(mark, listing, pane, true).map(Some),
            [first, second, ..] => {
                conflict(format!("panes {} and {} both carry the mark `{mark}`", first.id, second.id))
            }
        }
    }

    /// The handle of a pane; with `record`, its process's start is kept in the pane too.
    ///
    /// Looking alone must change nothing, so `discover` doesn't record.
    pub(crate) fn handle(
        &self,
        mark: &Mark,
        listing: &Listing,
        pane: &Pane,
        record: bool,
    ) -> Result<Handle, Error> {
        let unread =
            |error| Error::io("read process identity", format!("tmux server {}", listing.server.pid), error);
        let server = process::stat(listing.server.pid).map_err(unread)?.ok_or_else(|| {
            // A server that isn't in our `/proc` gives pids that mean other processes here.
            let text = format!("server {} isn't among our processes", listing.server.pid);
            Error::new(ErrorKind::Unavailable, ENSURE, text)
        })?;
        let start = match &pane.start {
            Some(start) => start.clone(),
            None => self.start_of(pane, record)?,
        };
        let known = Known {
            mark: mark.clone(),
            socket: self.socket().to_owned(),
            server: listing.server.clone(),
            server_ticks: server.start_ticks,
            session: pane.session.clone(),
            window: pane.window.clone(),
            pane: pane.id.clone(),
            pid: pane.pid,
            ticks: start.parse().ok(),
            here: self.here.clone(),
        };
        Ok(known.handle())
    }

    /// The start of a pane's first process, recorded in the pane so that every later handle is equal.
    fn start_of(&self, pane: &Pane, record: bool) -> Result<String, Error> {
        let found = process::stat(pane.pid)
            .map_err(|error| Error::io("read process identity", format!("process {}", pane.pid), error))?;
        let start = found.map_or_else(|| UNSEEN.to_owned(), |stat| stat.start_ticks.to_string());
        if record {
            let line = format!("set-option -p -t '{}' @ilchul_start {start}", pane.id).into_bytes();
            self.told(self.link.tell(&List { line, count: 1 })?)?;
        }
        Ok(start)
    }

    /// The output of a list that ran, or the error for one that didn't.
    fn told(&self, told: Told) -> Result<String, Error> {
        match told {
            Told::Done(text) => Ok(text),
            Told::Failed(text) => {
                let hooks = self.link.hooks();
                let text = text.escape_debug();
                let detail = if hooks.is_empty() {
                    format!("tmux says: {text}")
                } else {
                    format!("tmux says: {text}; a hook of this server may be the cause: {hooks}")
                };
                Err(Error::new(ErrorKind::Unavailable, ENSURE, detail))
            }
            // Not `Unavailable`, here and below: that would say that nothing was made.
            Told::Ended => Err(Error::new(ErrorKind::Io, ENSURE, "the connection to the server ended")),
            Told::Late => {
                let limit = COMMAND_LIMIT.as_secs();
                let text = format!("the server gave no answer in {limit} s; what it did by then isn't known");
                Err(Error::new(ErrorKind::Io, ENSURE, text))
            }
        }
    }

    /// Sends the commands for one window, into the run's session or with it.
    fn make(&self, mark: &Mark, spec: &SessionSpec, listing: Option<&Listing>) -> Result<Told, Error> {
        if let Some(listing) = listing
            && let Some(session) = listing.session_of(&self.run)
        {
            return self.link.tell(&make::next_window(session, listing.free_index(session), mark, spec)?);
        }
        if listing.is_some_and(|listing| listing.has_session_named(&self.session_name)) {
            let text = format!("session `{}` is there and isn't of run `{}`", self.session_name, self.run);
            return Err(Error::new(ErrorKind::Conflict, ENSURE, text));
        }
        self.link.begin(&make::first_window(&self.session_name, mark, spec)?)
    }

    /// One try; `None` when it is worth another.
    pub(crate) fn ensure_once(&self, mark: &Mark, spec: &SessionSpec) -> Result<Option<Handle>, Error> {
        let look = self.link.look();
        let listing = match &look {
            Look::Server(listing) => Some(listing),
            Look::NoServer(_) => None,
            Look::Dark(why) => return Err(Error::new(ErrorKind::Unavailable, ENSURE, why.clone())),
        };
        if let Some(handle) = listing.map_or(Ok(None), |listing| self.find(mark, listing))? {
            return Ok(Some(handle));
        }
        make::prepare_log(spec)?;
        let told = self.make(mark, spec, listing)?;
        match &told {
            // The index was taken meanwhile; or nobody knows what ran, and the next look will say.
            Told::Failed(text) if text.contains("in use") => return Ok(None),
            Told::Ended => return Ok(None),
            Told::Late => return self.told(told).map(|_| None),
            Told::Done(_) | Told::Failed(_) => {}
        }
        let found = match self.listed(&told) {
            Some(listing) => self.find(mark, &listing),
            // What is there decides: a hook of the user's may fail beside a window that is whole.
            None => match self.link.look() {
                Look::Server(listing) => self.find(mark, &listing),
                Look::NoServer(why) | Look::Dark(why) => Err(Error::new(ErrorKind::Io, ENSURE, why)),
            },
        };
        match found {
            Ok(Some(handle)) => {
                // From the first window on there is a session to attach to: the doorbell begins here.
                if let Some(session) = handle.fields.get("session") {
                    self.link.connect(session);
                }
                Ok(Some(handle))
            }
            Ok(None) | Err(_) => {
                // What tmux said explains more than what is missing because of it.
                self.told(told)?;
                found?;
                Err(Error::new(ErrorKind::Io, ENSURE, "the window vanished as soon as it was made"))
            }
        }
    }

    /// The new window as its own commands listed it: no other look is needed.
    fn listed(&self, told: &Told) -> Option<Listing> {
        let Told::Done(text) = told else { return None };
        let (server, _) = text.lines().find_map(parse_server)?;
        Some(Listing::new(server, text.lines(), &self.run))
    }
}
