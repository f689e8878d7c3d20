//! The session substrate of a run, by its kind. Choosing the kind is `choose.rs`.

use std::sync::Arc;
use std::time::Duration;

use ilchul_slurm::{Pace, Slurm};
use ilchul_subprocess::Subprocess;
use ilchul_tmux_session::{Server, TmuxSession};

use super::error::{CliError, words};
use super::place::Place;
use crate::home::Home;
use crate::supervisor::world::Sessions;
use crate::workflow::SessionKind;

/// How long is waited, where a workflow may say so.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    /// Between TERM and KILL.
    pub grace: Duration,
    /// Between two questions to a cluster's controller, where somebody said.
    pub poll: Option<Duration>,
    /// How long a job's files may arrive after the controller's word, where somebody said.
    pub settle: Option<Duration>,
    /// Between two submits to it, where somebody said.
    pub submit_every: Option<Duration>,
}

/// The jobs of a run.
#[must_use]
pub fn slurm(home: &Home, run: &str, waits: Waits) -> Slurm {
    let usual = Pace::default();
    let submit_every = waits.submit_every.unwrap_or(usual.submit_every);
    let settle = waits.settle.unwrap_or(usual.settle);
    let pace = Pace {
        interval: waits.poll.unwrap_or(usual.interval),
        settle,
        forget: settle,
        // Slurm plans every half minute or so, and what it calls hopeless in between may change.
        hopeless: usual.hopeless.min(settle),
        grace: waits.grace,
        submit_every,
        ..usual
    };
    Slurm::new(home.run(run).join("slurm"), pace)
}

/// The substrate of a run.
///
/// # Errors
/// When it can't be had.
pub fn open(place: &Place, run: &str, kind: SessionKind, waits: Waits) -> Result<Sessions, CliError> {
    let grace = waits.grace;
    match kind {
        SessionKind::Subprocess => Ok(Arc::new(Subprocess::new(grace))),
        SessionKind::Slurm => Ok(Arc::new(slurm(&place.home, run, waits))),
        SessionKind::Tmux => {
            let session = TmuxSession::open(&Server::from_env(), &tmux_name(place, run), run, grace);
            match session {
                Ok(session) => Ok(Arc::new(session)),
                Err(error) => Err(CliError::new("no_session", words(&error))
                    .hint("Run `ilchul doctor`, or name `--session subprocess` for a new run.")),
            }
        }
    }
}

/// The name of a run's tmux session: `ilchul-<repo>-<run>`.
#[must_use]
pub fn tmux_name(place: &Place, run: &str) -> String {
    let name = place.repository.main_checkout().file_name().map(|name| name.to_string_lossy().to_lowercase());
    let slug: String = name
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    let slug = slug.trim_matches('-');
    format!("ilchul-{}-{run}", if slug.is_empty() { "repo" } else { slug })
}
