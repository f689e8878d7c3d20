//! Running a coding agent: turns, until there is a report or nothing more to be done.
//!
//! A turn is one process, started, watched and ended by the same loop as any child (`run`).
//! After it, this decides only what needs no supervisor: an answer that came is a further turn,
//! a question waits for one, a forgotten report is asked for so many times. All that it says
//! is a report like any other: a claim. It knows no agent by name.

mod events;
mod limits;
mod meaning;
mod record;
mod said;
mod start;
mod stream;
mod turn;
mod usage;
mod waiting;
mod watch;

pub(super) use said::{may_replace, put, question, unusable};
pub(super) use stream::Lens;
pub(super) use watch::{LOOK_EVERY, Verdict, Watch};

use super::beat::Beats;
use super::finish::{self, Finished};
use super::lasting::Lasting;
use super::launch::Session;
use super::run::Attempt;
use super::tree::End;
use super::{ShimError, clock};
use crate::protocol::{AgentSpec, Assignment, MAX_ANSWERS, Report, WALL_TIME, taken_name};
use meaning::last_line;
use said::{Said, Voice};
use turn::{Command, Reason};
use waiting::Heard;

/// Runs the assignment's agent, turn after turn, and records how it ended.
pub(super) fn run(
    session: &Session,
    assignment: &Assignment,
    spec: &AgentSpec,
    beats: Beats,
) -> Result<(), ShimError> {
    let started_at = clock::label();
    let voice = Voice { session, assignment, spec };
    let mut lasting = Lasting::new(session, beats, Some(Watch::new(spec)));
    let first = turn::first(assignment, spec).and_then(|command| one(&voice, &mut lasting, &command));
    let mut turn = match first {
        Ok(turn) => turn,
        Err(error) => return finish::not_started(session, assignment, started_at, &error),
    };
    let mut course = Course { number: 1, reminders: spec.reminders, answered: None };
    while let Next::Turn(reason) = course.next(&voice, &mut lasting, &turn) {
        match course.begin(&voice, &mut lasting, &reason) {
            Ok(Some(next)) => turn = next,
            Ok(None) => break,
            Err(error) => {
                super::say(&error);
                voice.failed(&format!("turn_failed: a further turn couldn't be started: failed to {error}"));
                break;
            }
        }
    }
    lasting.drop_box.look_last(assignment);
    if turn.finished.stopped == Some(WALL_TIME) || session.wall.is_over(clock::now()) {
        voice.failed(WALL_TIME);
    }
    let usage = lasting.watch.as_ref().and_then(Watch::usage);
    let finished = Finished {
        started_at,
        usage,
        acked: lasting.acked,
        over: turn.verdict == Some(Verdict::Over),
        ..turn.finished
    };
    finish::ended(session, assignment, &finished)
}

/// A turn that has ended.
struct Turn {
    finished: Finished,
    verdict: Option<Verdict>,
    /// The end of what it printed beside its records.
    printed: String,
}

/// Runs one turn to its end.
fn one<'a>(voice: &Voice<'a>, lasting: &mut Lasting<'a>, command: &Command) -> Result<Turn, ShimError> {
    // Before its process: what that writes at once is this turn's.
    if let Some(watch) = &mut lasting.watch {
        watch.begin_turn(command.is_fresh, clock::now());
    }
    let started_at = clock::label();
    let log = lasting.take_log();
    let (child, relay) = match start::start(voice, command, log) {
        Ok(started) => started,
        Err(failed) => {
            let (error, log) = *failed;
            lasting.log = Some(log);
            return Err(error);
        }
    };
    let mut attempt = Attempt::new(voice.session, voice.assignment, lasting, (child, relay));
    attempt.begin(started_at);
    attempt.live();
    let (finished, verdict, printed) = attempt.end_of_turn();
    Ok(Turn { finished, verdict, printed })
}

/// What comes after a turn.
enum Next {
    Turn(Reason),
    Nothing,
}

/// Whether a question is one to which the agent has its answer, when `next` is still to come.
fn is_taken(question: &[u8], next: u32) -> bool {
    Report::check(question).is_ok_and(|report| report.question.is_some_and(|n| n < next))
}

/// How far it has come.
struct Course {
    /// Turns so far.
    number: u32,
    /// Reminders that are left.
    reminders: u32,
    /// The report whose question was answered: it counts no more.
    answered: Option<Vec<u8>>,
}

impl Course {
    fn next<'a>(&mut self, voice: &Voice<'a>, lasting: &mut Lasting<'a>, turn: &Turn) -> Next {
        lasting.drop_box.look(voice.assignment);
        // Those that it took itself while its turn went on are no news to it.
        while lasting.next_answer < MAX_ANSWERS && lasting.drop_box.has(&taken_name(lasting.next_answer)) {
            lasting.next_answer += 1;
        }
        let said = match voice.said(self.answered.as_deref()) {
            Said::Question(bytes) if is_taken(&bytes, lasting.next_answer) => Said::Nothing,
            said => said,
        };
        let Some(watch) = &mut lasting.watch else { return Next::Nothing };
        if turn.finished.stopped.is_some() || matches!(said, Said::Final) {
            return Next::Nothing;
        }
        if turn.verdict == Some(Verdict::NotReady) {
            voice.failed(&format!("not_ready: {}", not_ready(voice.spec, &turn.printed)));
            return Next::Nothing;
        }
        let asks = watch.asks() || matches!(said, Said::Question(_));
        if asks || waiting::answer(voice, lasting.next_answer).is_some() {
            return self.wait(voice, lasting, said);
        }
        let ended_badly = bad_end(turn);
        // What was only printed proves a limit where nothing else tells how the turn went.
        let nothing_tells = voice.spec.stream.is_none() && voice.spec.result.is_none();
        let believed = nothing_tells || ended_badly.is_some() || watch.failure().is_some();
        if let Some(limit) = watch.limit(if believed { &turn.printed } else { "" }) {
            voice.limited(&limit);
            return Next::Nothing;
        }
        if let Some(why) = watch.failure().or(ended_badly) {
            voice.failed(&format!("turn_failed: {}: {why}", voice.spec.adapter));
            return Next::Nothing;
        }
        if self.reminders == 0 {
            return Next::Nothing;
        }
        self.reminders -= 1;
        let why = match said {
            Said::Bad(why) => why,
            Said::Nothing | Said::Final | Said::Question(_) => {
                lasting.drop_box.trouble(voice.assignment).unwrap_or_else(|| "there is none".to_owned())
            }
        };
        lasting.say(&format!(
            "{} ended its turn without a report ({why}); it is asked for one",
            voice.spec.adapter
        ));
        Next::Turn(Reason::Unreported(why))
    }

    fn wait<'a>(&mut self, voice: &Voice<'a>, lasting: &mut Lasting<'a>, said: Said) -> Next {
        match waiting::for_answer(voice, lasting) {
            Heard::Answer(text) => {
                lasting.next_answer += 1;
                // Whoever answers has looked: the report may be asked for once more.
                self.reminders = voice.spec.reminders;
                if let Said::Question(bytes) = said {
                    self.answered = Some(bytes);
                }
                Next::Turn(Reason::Answered(text))
            }
            Heard::Stop | Heard::Gone => Next::Nothing,
        }
    }

    fn begin<'a>(
        &mut self,
        voice: &Voice<'a>,
        lasting: &mut Lasting<'a>,
        reason: &Reason,
    ) -> Result<Option<Turn>, ShimError> {
        self.number += 1;
        let session = lasting.watch.as_ref().and_then(Watch::session);
        let parts = (voice.assignment, voice.spec);
        let Some(command) = turn::further(parts, session, (self.number, reason), &voice.session.tree)? else {
            if matches!(reason, Reason::Answered(_)) {
                voice.failed(&format!(
                    "turn_failed: {} can't be told an answer: it has no command line for a further turn",
                    voice.spec.adapter
                ));
            }
            return Ok(None);
        };
        one(voice, lasting, &command).map(Some)
    }
}

/// How a turn ended that ended by itself and not well.
fn bad_end(turn: &Turn) -> Option<String> {
    if turn.verdict.is_some() {
        return None;
    }
    let how = match turn.finished.tree.end() {
        Some((End::Code(0), _)) => return None,
        Some((End::Code(code), _)) => format!("exit code {code}"),
        Some((End::Signal(signal), _)) => format!("signal {signal}"),
        Some((End::Unseen, _)) | None => return None,
    };
    let last = last_line(&turn.printed);
    Some(if last.is_empty() { how } else { format!("{how}: {last}") })
}

fn not_ready(spec: &AgentSpec, printed: &str) -> String {
    let seconds = spec.ready_ms.div_ceil(1_000);
    let last = last_line(printed);
    let shown = if last.is_empty() { String::new() } else { format!(": {last}") };
    format!("{} gave no sign within {seconds} s (a dialog, a login?){shown}", spec.adapter)
}
