//! Sending a person's command to whoever may decide on it.
//!
//! A supervisor that drives the run gets it through the journal's requests; where
//! there is none, the same decision is taken here, under the lock.

use std::time::{Duration, Instant};

use super::drive;
use super::error::CliError;
use super::exit_code::Exit;
use super::place::Place;
use crate::engine::Engine;
use crate::engine::event::Event;
use crate::engine::input::Request;
use crate::engine::moment::Stamp;
use crate::journal::lock;
use crate::journal::{Answer, Journal};
use crate::supervisor::Unrecorded;
use crate::supervisor::clock::{Clock, wall_ms};

/// How long a short command waits for the lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a supervisor may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How often the answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What became of a request.
pub struct Granted {
    /// A supervisor took it and acts on it now; otherwise it waits for the next `up`.
    pub supervised: bool,
}

/// Sends `request` about `run`.
///
/// # Errors
/// A refusal (1), a lock that stays held by another run (5), or the journal's trouble.
pub fn send(place: &Place, run: &str, request: &Request) -> Result<Granted, CliError> {
    let holder = lock::held(&place.home.lock())
        .map_err(|error| CliError::new("lock", format!("look at the lock: {error}")))?;
    match holder {
        Some(Some(holder)) if holder.run == run => ask(place, run, request),
        Some(_) | None => decide_here(place, run, request),
    }
}

fn ask(place: &Place, run: &str, request: &Request) -> Result<Granted, CliError> {
    let journal = Journal::open(&place.home)?;
    let id = journal.ask(&place.home, run, request, wall_ms())?;
    let deadline = Instant::now() + ANSWER;
    loop {
        if let Some(answer) = journal.answered(id)? {
            return judge(request, &answer).map(|()| Granted { supervised: true });
        }
        let alive = matches!(lock::held(&place.home.lock()), Ok(Some(_)) | Err(_));
        if !alive {
            // It ended without an answer. The request must not wait for the next life as well.
            let gone =
                Answer { accepted: false, message: "the supervisor ended before it answered".to_owned() };
            journal.answer(id, &gone)?;
            return match journal.answered(id)? {
                Some(answer) if answer.accepted => Ok(Granted { supervised: true }),
                Some(_) | None => decide_here(place, run, request),
            };
        }
        if Instant::now() >= deadline {
            let message =
                format!("get an answer from the supervisor of `{run}` within {} s", ANSWER.as_secs());
            return Err(CliError::new("no_answer", message)
                .exit(Exit::Interrupted)
                .hint("It will decide when it goes on; `ilchul events` shows what it did."));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn judge(request: &Request, answer: &Answer) -> Result<(), CliError> {
    if answer.accepted { Ok(()) } else { Err(CliError::new("refused", refusal(request, &answer.message))) }
}

/// A refused request in words: what was asked, and why not.
fn refusal(request: &Request, message: &str) -> String {
    let asked = match request {
        Request::Retry { task } => format!("retry `{}`", task.escape_debug()),
        Request::Cancel { task } => format!("cancel `{}`", task.escape_debug()),
        Request::Down { .. } => "end the run".to_owned(),
        Request::Release { worker, .. } => format!("release `{}`", worker.escape_debug()),
        Request::Retain { worker } | Request::Withdraw { worker, .. } => {
            format!("retain `{}`", worker.escape_debug())
        }
        Request::CleanUp { worker, .. } => format!("clean up `{}`", worker.escape_debug()),
        Request::Decide { task, .. } => format!("decide on `{}`", task.escape_debug()),
        Request::Respond { task, .. } => format!("answer `{}`", task.escape_debug()),
        Request::Answer { task, answer } => {
            format!("{} `{}`", if answer.yes { "approve" } else { "deny" }, task.escape_debug())
        }
    };
    format!("{asked}: {message}")
}

fn decide_here(place: &Place, run: &str, request: &Request) -> Result<Granted, CliError> {
    let mut lock = drive::lock(place, PATIENCE)?;
    drive::sign(place, &mut lock, "")?;
    let journal = Journal::open(&place.home)?;
    let mut engine = place.run_of(&journal, run)?.engine;
    let clock = Clock::kernel().on_line(&engine.state().anchor, engine.state().last_at.moment);
    engine
        .request(clock.now(), request)
        .map_err(|rejection| CliError::new(rejection.code, refusal(request, &rejection.message)))?;
    let events = engine.take_events();
    if !events.is_empty() {
        record(place, journal, &engine, (clock.stamp(), events))?;
    }
    Ok(Granted { supervised: false })
}

/// Appends what was decided; where that fails, says what became of it.
fn record(
    place: &Place,
    mut journal: Journal,
    engine: &Engine,
    (at, events): (Stamp, Vec<Event>),
) -> Result<(), CliError> {
    let started = &engine.state().started;
    let after = journal.last_seq();
    let mut events = events.into_iter().map(|event| (at, event)).collect();
    let Err(error) = journal.append_batch(&started.run, &mut events) else { return Ok(()) };
    drop(journal);
    Err(super::unrecorded::explain(&Unrecorded {
        error,
        home: place.home.clone(),
        run: started.run.clone(),
        path: started.path.clone(),
        after,
        events,
    }))
}
