//! A worker's own side of a question: its number, and the wait for its answer.
//!
//! For workers that can stand still. It leaves out how it is asked: that is a report.

use std::time::{Duration, Instant};

use super::error::CliError;
use super::exit_code::Exit;
use super::worker_side::{Replace, WorkerSide};
use crate::protocol::{
    self, Answer, Assignment, MAX_ANSWERS, REPORT, Report, STOP, Stop, answer_name, taken_name,
};

/// How often the answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The number of the question that this attempt asks next: one more than it was answered.
///
/// # Errors
/// `too_many` where it was given all the answers that an attempt can have.
pub fn next_number(side: &WorkerSide, assignment: &Assignment) -> Result<u32, CliError> {
    let open = |n: &u32| answer(side, assignment, *n).is_none();
    (1..=MAX_ANSWERS).find(open).ok_or_else(|| {
        CliError::new("too_many", format!("ask: {MAX_ANSWERS} questions were answered, and that is all"))
            .hint("Report how it went, or what is missing.")
    })
}

/// The number of the question that stands in this attempt's report.
///
/// # Errors
/// `no_question` where there is none.
pub fn standing(side: &WorkerSide, assignment: &Assignment) -> Result<u32, CliError> {
    let report = side.read(REPORT).and_then(|bytes| Report::check(&bytes).ok());
    let ours = |report: &Report| report.token == assignment.token && report.status.is_open();
    report.filter(ours).and_then(|report| report.question).ok_or_else(|| {
        CliError::new("no_question", "wait for an answer: this attempt asks nothing")
            .hint("Ask with `ilchul report --status needs_input --reason \"...\" --wait`.")
    })
}

/// The `n`th answer, if it was given to this attempt.
fn answer(side: &WorkerSide, assignment: &Assignment, n: u32) -> Option<String> {
    let answer: Answer = protocol::parse(&side.read(&answer_name(n))?).ok()?;
    (answer.token == assignment.token && answer.n == n).then_some(answer.text)
}

/// Waits for the `n`th answer.
///
/// # Errors
/// `no_answer` (4) without one in time, `stopped` (4) where this attempt is told to end.
pub fn wait(
    side: &WorkerSide,
    assignment: &Assignment,
    (n, patience): (u32, Duration),
) -> Result<String, CliError> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(text) = answer(side, assignment, n) {
            // So that its shim doesn't hand it over once more; where this can't be said, it does.
            let _ = side.write(&taken_name(n), b"{}", Replace::Yes);
            return Ok(text);
        }
        let stop = side.read(STOP).and_then(|bytes| protocol::parse::<Stop>(&bytes).ok());
        if stop.is_some_and(|stop| stop.token == Some(assignment.token)) {
            let message = format!("get an answer to question {n}: this attempt was told to end");
            return Err(CliError::new("stopped", message).exit(Exit::Interrupted).hint("Stop working."));
        }
        if Instant::now() >= deadline {
            let message = format!("get an answer to question {n} within {} s", patience.as_secs());
            return Err(CliError::new("no_answer", message).exit(Exit::Interrupted).hint(
                "The question stands. Run `ilchul report --wait` to wait on, or end your turn: the answer comes as the next message.",
            ));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
