//! Whether anybody drives the run there, and starting another supervisor where one died.
//!
//! It leaves out how its death is seen.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use super::super::detach;
use super::super::error::CliError;
use super::super::exit_code::Exit;
use super::super::output::{self, Output};
use super::super::record;
use super::deaths::{DEATHS, Deaths};
use super::link::Link;
use super::tale::Tale;
use crate::engine::state::RunPhase;

/// How long a run may be without a supervisor: one may just be taking over.
pub(super) const UNHELD: Duration = Duration::from_secs(3);
/// How long a supervisor there may take to begin.
const START: Duration = Duration::from_secs(120);

/// What is known of who drives it.
pub(super) struct Revive<'l> {
    link: &'l Link,
    /// What starts a supervisor there again.
    again: &'l [OsString],
    color: bool,
    unheld: Option<Instant>,
    deaths: Deaths,
    /// What one said that didn't begin.
    last_words: String,
}

impl<'l> Revive<'l> {
    /// Nothing is known yet.
    pub(super) fn new(link: &'l Link, again: &'l [OsString], output: Output) -> Self {
        let (deaths, last_words) = (Deaths::default(), String::new());
        Self { link, again, color: output.color_err, unheld: None, deaths, last_words }
    }

    /// The run went on.
    pub(super) fn progress(&mut self) {
        self.deaths.progress();
    }

    /// Nobody sees it for a while.
    pub(super) fn unseen(&mut self) {
        self.deaths.unseen();
    }

    /// One drives it.
    pub(super) fn held(&mut self) {
        self.unheld = None;
        self.deaths.held(Instant::now());
    }

    /// None does: how following ends, if it does.
    ///
    /// # Errors
    /// When supervisors die there one after the other.
    pub(super) fn unheld(&mut self, tale: &mut Tale) -> Result<Option<Exit>, CliError> {
        self.deaths.unseen();
        if self.unheld.get_or_insert_with(Instant::now).elapsed() < UNHELD {
            return Ok(None);
        }
        self.unheld = None;
        self.dead(tale)
    }

    /// What ended its supervisor, and what follows.
    fn dead(&mut self, tale: &mut Tale) -> Result<Option<Exit>, CliError> {
        let name = &self.link.target.name;
        if let Some(words) = ended_by_a_person(tale) {
            tale.done();
            output::talk(&format!("On {name}: {words}"));
            return Ok(Some(Exit::Interrupted));
        }
        if self.deaths.died() {
            tale.done();
            let message = format!(
                "keep a supervisor on `{name}`: it died {DEATHS} times in a row, and nothing went on{}",
                if self.last_words.is_empty() { String::new() } else { format!(" ({})", self.last_words) }
            );
            return Err(CliError::new("host_supervisor", message).exit(Exit::Interrupted).hint(
                "Its last words are in `supervisor.log` of the home there; ask the site what it ends on login nodes.",
            ));
        }
        tale.say(&format!("the supervisor on {name} is gone: another one is started, and adopts what lives"));
        let ran = match self.link.ilchul(self.again, START) {
            Ok(ran) => ran,
            // The next link says what is wrong.
            Err(error) if error.code == "host_lost" || error.code == "host" => return Ok(None),
            Err(error) => return Err(error),
        };
        if [Exit::Done, Exit::Failed, Exit::Held].iter().any(|exit| exit.code() == ran.code) {
            return Ok(None);
        }
        let refused = (ran.code == Exit::Wrong.code() && is_refusal(&ran.stderr)).then_some(Exit::Wrong);
        let known = [Exit::Interrupted, Exit::Journal].into_iter().find(|exit| exit.code() == ran.code);
        let Some(exit) = known.or(refused) else {
            // It may have been killed while it began: the next look counts it.
            self.last_words = ran.words();
            return Ok(None);
        };
        tale.done();
        output::talk_of_another(&ran.stderr, self.color);
        Ok(Some(exit))
    }
}

/// The words for a run whose supervisor a person ended: `down` or Ctrl-C. A site ends what it
/// finds on its login nodes by other signals.
fn ended_by_a_person(tale: &Tale) -> Option<String> {
    let state = tale.state().filter(|state| state.phase == RunPhase::Interrupted)?;
    let reason = state.interrupted.as_str();
    if matches!(reason, "SIGTERM" | "SIGHUP") {
        return None;
    }
    let live = state.workers.values().filter(|worker| worker.phase.is_live()).count();
    Some(record::interrupted(state, reason, live))
}

/// Whether a supervisor there says why it doesn't begin: another one would say the same.
fn is_refusal(words: &[u8]) -> bool {
    let words = String::from_utf8_lossy(words);
    words.lines().any(|line| line.starts_with("error: ") && !line.contains(detach::UNSEEN))
}
