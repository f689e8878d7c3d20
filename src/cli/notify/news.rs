//! What a person should be told of: a question, an approval, a lost worker, the end of the run.
//!
//! Derived from the fold, each with a key that is the same in every life. It leaves out
//! whether it was told.

use crate::engine::outstanding::asked;
use crate::engine::question;
use crate::engine::state::{RunPhase, RunState};
use crate::render::clean;
use crate::render::words::{answers, attach, line, respond};
use crate::workflow::{OnLost, SessionKind};

/// The longest text that is handed over, in characters.
const TEXT_MAX: usize = 4_000;

/// One thing to tell. Texts of workers are bounded, and steer no terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Tells it from everything else that waits in the run, in whatever life.
    pub key: String,
    /// `question`, `approval`, `decide` or `ended`.
    pub event: &'static str,
    /// The run.
    pub run: String,
    /// The task; empty for the run's end.
    pub task: String,
    /// The worker; empty where none waits.
    pub worker: String,
    /// In one line, in our words and without anything that a worker wrote.
    pub title: String,
    /// What is asked, or how the run ended.
    pub text: String,
    /// What to type to look.
    pub look: String,
    /// What to type to answer; empty where there is nothing to answer.
    pub answer: String,
}

/// Everything that waits for a person, and the end of the run.
#[must_use]
pub fn all(state: &RunState) -> Vec<News> {
    let mut all: Vec<News> = state.moving.iter().filter_map(|&task| of_task(state, task)).collect();
    all.extend(ended(state));
    all
}

fn of_task(state: &RunState, task: usize) -> Option<News> {
    question(state, task).or_else(|| approval(state, task)).or_else(|| lost(state, task))
}

fn question(state: &RunState, task: usize) -> Option<News> {
    let asks = question::open(state, task)?;
    let id = &state.planned(task).id;
    Some(News {
        key: format!("{} asks {}", asks.worker, asks.since.moment.0),
        event: "question",
        title: format!("{id} waits for you"),
        text: bounded(&asks.text),
        look: look(state, &asks.worker),
        answer: respond(id, ""),
        task: id.clone(),
        worker: asks.worker,
        run: state.started.run.clone(),
    })
}

fn approval(state: &RunState, task: usize) -> Option<News> {
    let (item, message) = asked(state, task)?;
    let id = &state.planned(task).id;
    Some(News {
        key: format!("{id}.{} approval {item}", state.tasks[task].attempt),
        event: "approval",
        title: format!("{id} waits for your approval"),
        text: bounded(message),
        look: format!("ilchul evidence {id}"),
        answer: answers(id, ""),
        task: id.clone(),
        worker: String::new(),
        run: state.started.run.clone(),
    })
}

fn lost(state: &RunState, task: usize) -> Option<News> {
    let (worker, known) = state.current_worker(task)?;
    let asks = state.workflow().heartbeat.on_lost == OnLost::Ask;
    if !(asks && known.expired && known.token_live && state.tasks[task].phase.is_held()) {
        return None;
    }
    let id = &state.planned(task).id;
    Some(News {
        key: format!("{worker} lost {}", known.expires.0),
        event: "decide",
        title: format!("{id} waits for your decision"),
        text: format!("`{worker}` wasn't heard of for too long."),
        look: look(state, &worker),
        answer: format!("ilchul decide {id} rerun|skip|accept"),
        task: id.clone(),
        worker,
        run: state.started.run.clone(),
    })
}

fn ended(state: &RunState) -> Option<News> {
    let RunPhase::Ended { success } = state.phase else { return None };
    let at = state.ended_at.map_or(0, |at| at.moment.0);
    let how = if success { "with success" } else { "without success" };
    Some(News {
        key: format!("ended {at}"),
        event: "ended",
        run: state.started.run.clone(),
        task: String::new(),
        worker: String::new(),
        title: format!("the run has ended {how}"),
        text: format!("The run {} of {} has ended {how}.", state.started.run, line(&state.workflow().name)),
        look: "ilchul status".to_owned(),
        answer: String::new(),
    })
}

fn look(state: &RunState, worker: &str) -> String {
    match state.started.session {
        SessionKind::Tmux | SessionKind::Slurm => attach(worker),
        SessionKind::Subprocess => format!("ilchul logs {worker}"),
    }
}

fn bounded(text: &str) -> String {
    clean(&text.chars().take(TEXT_MAX).collect::<String>())
}
