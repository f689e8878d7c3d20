//! What waits for a person, in the words of `up`: what is asked, and what to type.
//!
//! It leaves out when it is said.

use crate::engine::outstanding::asked;
use crate::engine::question;
use crate::engine::state::RunState;
use crate::render::words as said;
use crate::workflow::SessionKind;

/// What a person is asked about a task now, if anything: its approval, or its worker's question.
#[must_use]
pub fn line(state: &RunState, task: usize) -> Option<String> {
    approval(state, task).or_else(|| question(state, task))
}

/// What a person is asked before a task may complete, and what to type.
#[must_use]
pub fn approval(state: &RunState, task: usize) -> Option<String> {
    let (_, message) = asked(state, task)?;
    let id = &state.planned(task).id;
    Some(format!("{id}  waits for your approval: {} ({})", said::line(message), said::answers(id, "")))
}

/// What a task's worker asks, and what to type.
#[must_use]
pub fn question(state: &RunState, task: usize) -> Option<String> {
    let asks = question::open(state, task)?;
    let id = &state.planned(task).id;
    let look = match state.started.session {
        SessionKind::Tmux | SessionKind::Slurm => format!("ilchul attach {id}"),
        SessionKind::Subprocess => format!("ilchul logs -f {id}"),
    };
    Some(format!("{id}  waits for you: {} ({look}, or {})", said::line(&asks.text), said::respond(id, "")))
}
