//! One server, asked through the standing connection where there is one, else by single clients.
//!
//! It leaves out what is asked. A connection that ended is opened again at the next
//! look that sees our session; one that didn't answer in time is dropped, because
//! the replies to come could be anybody's.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ilchul_substrate::{Error, ErrorKind};

use crate::control::{Connection, Doorbell, NoReply, locked};
use crate::judge::Look;
use crate::leftover;
use crate::make::List;
use crate::panes::{Listing, PANE, SERVER, parse_server};
use crate::quote::{push_plain, push_word};
use crate::run::NoAnswer;
use crate::server::{COMMAND_LIMIT, Tmux, is_bound, supported};

/// Our way to the server of the run.
pub(crate) struct Link {
    pub(crate) tmux: Tmux,
    run: String,
    doorbell: Option<Doorbell>,
    standing: Mutex<Option<Arc<Connection>>>,
}

/// What became of a list of commands.
#[derive(Debug)]
pub(crate) enum Told {
    /// All ran; the output of all.
    Done(String),
    /// One failed with this text; those before it ran.
    Failed(String),
    /// The connection ended; what ran isn't known.
    Ended,
    /// No answer in time; what ran isn't known.
    Late,
}

impl Link {
    pub(crate) fn new(tmux: Tmux, run: &str) -> Self {
        Self { tmux, run: run.to_owned(), doorbell: None, standing: Mutex::new(None) }
    }

    pub(crate) fn with_doorbell(mut self, doorbell: Doorbell) -> Self {
        self.doorbell = Some(doorbell);
        self
    }

    pub(crate) fn with_config(mut self, path: &Path) -> Self {
        self.tmux = self.tmux.with_config(path.to_owned());
        self
    }

    /// Lists the server of the run.
    ///
    /// The standing connection belongs to one life of the server, so its listing needs no
    /// proof of who answered; and it still answers when the socket was removed under it.
    pub(crate) fn look(&self) -> Look {
        if let Some(connection) = self.standing() {
            let mut line = Vec::new();
            push_plain(&mut line, "list-panes -a -F");
            // The format is ours: no NUL, so this never fails.
            let quoted = push_word(&mut line, PANE.as_bytes());
            let reply = quoted.map_err(|_| NoReply::Ended).and_then(|()| connection.ask(&line, 1));
            match reply {
                Ok(text) => {
                    return Look::Server(Listing::new(connection.server.clone(), text.lines(), &self.run));
                }
                Err(NoReply::Late) => {
                    self.forget(&connection);
                    return Look::Dark(late());
                }
                Err(NoReply::Ended | NoReply::Failed(_)) => self.forget(&connection),
            }
        }
        let look = self.look_at(&self.tmux);
        if let Look::Server(listing) = &look
            && let Some(session) = listing.session_of(&self.run)
        {
            self.connect(session);
        }
        look
    }

    /// Lists the server at `socket`, which may be another than the run's.
    pub(crate) fn look_elsewhere(&self, socket: &Path) -> Look {
        if socket == self.tmux.socket() { self.look() } else { self.look_at(&self.tmux.at(socket)) }
    }

    /// Lists any server through a single client, which starts none: `list-panes` never does.
    fn look_at(&self, tmux: &Tmux) -> Look {
        let words = ["display-message", "-p", SERVER, ";", "list-panes", "-a", "-F", PANE];
        let answer = match tmux.ask(words.map(OsString::from)) {
            Ok(answer) => answer,
            Err(why) => return Look::Dark(tmux.no_answer("list panes", why).to_string()),
        };
        let said = answer.err.trim();
        // A server without any session (`exit-empty off`) has nothing to list, and says it so.
        let empty = said == "no current target" && answer.out.lines().find_map(parse_server).is_some();
        if !answer.success && !empty {
            return without_server(tmux.socket(), said);
        }
        let Some((server, version)) = answer.out.lines().find_map(parse_server) else {
            return Look::Dark("the server didn't say who it is".to_owned());
        };
        match supported(version) {
            Ok(()) => Look::Server(Listing::new(server, answer.out.lines(), &self.run)),
            Err(error) => Look::Dark(error.to_string()),
        }
    }

    /// Opens the standing connection, if it can be had: everything works without it, only slower.
    pub(crate) fn connect(&self, session: &str) {
        let mut standing = locked(&self.standing);
        if standing.is_none()
            && let Ok(connection) = Connection::open(&self.tmux, session, self.doorbell.clone())
        {
            *standing = Some(Arc::new(connection));
            // Those that an earlier life of ours couldn't take with it.
            leftover::end_all(self.tmux.socket());
        }
    }

    /// Runs a list once: never again by itself, because it may have run before the connection ended.
    pub(crate) fn tell(&self, list: &List) -> Result<Told, Error> {
        let Some(connection) = self.standing() else { return self.tell_alone(list) };
        // Who gave up forgets the connection: its replies would reach the next caller.
        match connection.ask(&list.line, list.count) {
            Ok(text) => Ok(Told::Done(text)),
            Err(NoReply::Failed(text)) => Ok(Told::Failed(text)),
            Err(NoReply::Ended) => {
                self.forget(&connection);
                Ok(Told::Ended)
            }
            Err(NoReply::Late) => {
                self.forget(&connection);
                Ok(Told::Late)
            }
        }
    }

    /// The same line through a client: `if-shell` reads it as the connection would, word for word.
    fn tell_alone(&self, list: &List) -> Result<Told, Error> {
        let line = OsString::from_vec(list.line.clone());
        self.client(["if-shell".into(), "-F".into(), "1".into(), line].to_vec())
    }

    /// Runs a list that may start the server, unless that server would end when nobody is attached.
    pub(crate) fn begin(&self, list: &List) -> Result<Told, Error> {
        let line = OsString::from_vec(list.line.clone());
        let words = ["start-server", ";", "if-shell", "-F", "#{exit-unattached}"].map(OsString::from);
        let refusal = OsString::from(format!("display-message -p {UNATTACHED}"));
        // Asked in the same breath, because a server that starts and has nothing to host is gone again.
        let told = self.client(words.into_iter().chain([refusal, line]).collect())?;
        match told {
            Told::Done(text) if text.trim() == UNATTACHED => Err(Error::new(
                ErrorKind::Unavailable,
                "make tmux session",
                "`exit-unattached` is on in this server: it would end with the last client and take all workers \
                 with it",
            )),
            Told::Done(_) | Told::Failed(_) | Told::Ended | Told::Late => Ok(told),
        }
    }

    /// One client; a failed command is told, a client that can't be run is an error.
    fn client(&self, words: Vec<OsString>) -> Result<Told, Error> {
        match self.tmux.ask(words) {
            Ok(answer) if answer.success => Ok(Told::Done(answer.out)),
            Ok(answer) => Ok(Told::Failed(answer.err.trim().to_owned())),
            Err(NoAnswer::Late) => Ok(Told::Late),
            Err(why) => Err(self.tmux.no_answer("ask tmux", why)),
        }
    }

    /// The hooks that the server runs when a window is made, for a person to read.
    pub(crate) fn hooks(&self) -> String {
        let words = ["show-hooks", "-g"].map(OsString::from);
        let text = self.tmux.ask(words).map(|answer| answer.out).unwrap_or_default();
        let hooks: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("after-new-") || line.starts_with("window-linked"))
            .filter(|line| line.contains(' '))
            .collect();
        hooks.join(", ")
    }

    fn standing(&self) -> Option<Arc<Connection>> {
        locked(&self.standing).clone()
    }

    /// Drops this connection, unless somebody has already replaced it.
    fn forget(&self, connection: &Arc<Connection>) {
        let mut standing = locked(&self.standing);
        if standing.as_ref().is_some_and(|current| Arc::ptr_eq(current, connection)) {
            *standing = None;
        }
    }
}

const UNATTACHED: &str = "ilchul-exit-unattached";

fn late() -> String {
    format!("the server gave no answer in {} s", COMMAND_LIMIT.as_secs())
}

/// What a client means that got no server.
fn without_server(socket: &Path, said: &str) -> Look {
    let nobody = said.starts_with("no server running on")
        || (said.starts_with("error connecting to")
            && (said.ends_with("(No such file or directory)") || said.ends_with("(Connection refused)")));
    if !nobody {
        return Look::Dark(format!("tmux says: {}", said.escape_debug()));
    }
    if is_bound(socket) && !socket.exists() {
        return Look::Dark(format!(
            "the socket `{}` was removed while its server lives (SIGUSR1 makes it again)",
            socket.display()
        ));
    }
    match std::fs::symlink_metadata(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Look::Dark(format!("`{}`: {error}", socket.display()))
        }
        Ok(_) | Err(_) => Look::NoServer(format!("no server listens at `{}`", socket.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l9_only_a_missing_listener_is_no_server() {
        let socket = Path::new("/tmp/no-such-ilchul-socket");
        for said in [
            "no server running on /tmp/no-such-ilchul-socket",
            "error connecting to /tmp/no-such-ilchul-socket (No such file or directory)",
            "error connecting to /tmp/no-such-ilchul-socket (Connection refused)",
        ] {
            assert!(matches!(without_server(socket, said), Look::NoServer(_)), "{said}");
        }
        for said in [
            "error connecting to /tmp/no-such-ilchul-socket (Permission denied)",
            "server exited unexpectedly",
            "protocol version mismatch (client 8, server 7)",
            "",
        ] {
            assert!(matches!(without_server(socket, said), Look::Dark(_)), "{said}");
        }
    }
}
