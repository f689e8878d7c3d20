//! The session substrate of a run, by its kind. Choosing the kind is `choose.rs`.

use std::sync::Arc;
use std::time::Duration;

use ilchul_subprocess::Subprocess;
use ilchul_tmux_session::{Server, TmuxSession};

use super::error::{CliError, words};
use super::place::Place;
use crate::supervisor::world::Sessions;
use crate::workflow::SessionKind;

/// The substrate of a run.
///
/// # Errors
/// When it can't be had.
pub fn open(place: &Place, run: &str, kind: SessionKind, grace: Duration) -> Result<Sessions, CliError> {
    match kind {
        SessionKind::Subprocess => Ok(Arc::new(Subprocess::new(grace))),
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
