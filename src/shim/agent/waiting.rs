//! Waiting for a person's answer: nothing runs meanwhile, and the shim beats on.
//!
//! The file is looked for, as every order is. It leaves out who answers and what becomes of
//! a task meanwhile.

use super::said::Voice;
use crate::mail;
use crate::protocol::{Answer, STOP, Stop, answer_name, parse};
use crate::shim::clock;
use crate::shim::lasting::Lasting;
use crate::shim::run::LOOK_EVERY;
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::Instant;

/// What the waiting came to.
#[derive(Debug)]
pub(super) enum Heard {
    /// An answer.
    Answer(String),
    /// An order to end.
    Stop,
    /// The mail folder is gone, and with it whoever would answer.
    Gone,
}

/// The `n`th answer, if it is there and meant for this attempt.
pub(super) fn answer(voice: &Voice<'_>, n: u32) -> Option<String> {
    let bytes = mail::read_bounded(&voice.session.mail, &answer_name(n)).ok()??;
    let answer: Answer = parse(&bytes).ok()?;
    (answer.token == voice.assignment.token && answer.n == n).then_some(answer.text)
}

/// Waits for it, beating, for as long as it takes.
pub(super) fn for_answer(voice: &Voice<'_>, lasting: &mut Lasting<'_>) -> Heard {
    if let Some(watch) = &mut lasting.watch {
        watch.wait_for_answer();
    }
    let mut told = false;
    loop {
        if let Some(text) = answer(voice, lasting.next_answer) {
            return Heard::Answer(text);
        }
        if is_stopped(voice) || voice.session.wall.is_over(clock::now()) {
            return Heard::Stop;
        }
        if voice
            .session
            .mail
            .symlink_metadata()
            .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
        {
            return Heard::Gone;
        }
        if !std::mem::replace(&mut told, true) {
            lasting.say(&format!(
                "{} waits for an answer: ilchul answer {} TEXT",
                voice.spec.adapter, voice.assignment.task
            ));
            lasting.beat(voice.assignment.token, None);
        }
        let now = clock::now();
        if now >= lasting.beats.due_at() {
            lasting.beat(voice.assignment.token, None);
        }
        rest(voice, lasting.beats.due_at().min(now + LOOK_EVERY), now);
        while let Some(signal) = voice.session.signals.next() {
            if signal == Signal::SIGTERM {
                return Heard::Stop;
            }
        }
    }
}

fn is_stopped(voice: &Voice<'_>) -> bool {
    let Ok(Some(bytes)) = mail::read_bounded(&voice.session.mail, STOP) else { return false };
    parse::<Stop>(&bytes).is_ok_and(|stop| stop.token == Some(voice.assignment.token))
}

/// Waits for a signal, at most until `until`.
fn rest(voice: &Voice<'_>, until: Instant, now: Instant) {
    let limit = Timespec::try_from(until.saturating_duration_since(now)).ok();
    let _ = poll(&mut [PollFd::new(&voice.session.signals, PollFlags::IN)], limit.as_ref());
}
