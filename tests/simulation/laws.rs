//! The laws, judged after every step: each is a function that bears its law's name.
//!
//! They keep a book of their own, made of committed rows and of what the world really
//! did, and ask the engine's state only where a law is about it. Ages are counted in the
//! world's own time, which no clock of a supervisor's can bend. What only real processes,
//! git or SQLite can break (R1, R3, R5, J9, J11, E2 to E4) is for other suites. It leaves
//! out how a breach is shown (`shrink.rs`).

mod book;
mod control;
mod journal;
mod purse;
mod question;
mod time;
mod truth;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ilchul::engine::Engine;
use ilchul::engine::effect::Effect;
use ilchul::engine::event::{Event, Started};
use ilchul::engine::input::{Beat, Input, Seen};
use ilchul::engine::moment::{Moment, Stamp};
use ilchul::engine::state::RunState;

use crate::world::World;
use book::Book;

/// A law that didn't hold.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Its name.
    pub law: &'static str,
    /// What was seen instead.
    pub detail: String,
}

impl Broken {
    pub fn new(law: &'static str, detail: impl fmt::Display) -> Self {
        Self { law, detail: detail.to_string() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.detail)
    }
}

/// Fails with `law` unless it holds.
fn hold(law: &'static str, holds: bool, detail: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken::new(law, detail())) }
}

/// Everything that is remembered to judge by.
#[derive(Debug)]
pub struct Laws {
    /// What was decided, folded a second time.
    shadow: Option<Engine>,
    decided: usize,
    book: Book,
    /// Executions that were judged already.
    judged: usize,
}

impl Laws {
    pub fn new(started: &Started) -> Self {
        Self { shadow: None, decided: 0, book: Book::new(started), judged: 0 }
    }

    /// Another life folded the journal: it must have found the very past that is there.
    pub fn opened(&mut self, engine: &Engine, rows: &[(Stamp, Event)]) -> Result<(), Broken> {
        let shadow = Engine::replay(rows.iter().cloned())
            .map_err(|error| Broken::new("j12_every_past_is_legal", error))?;
        self.decided = rows.len();
        let same = shadow.state() == engine.state();
        self.shadow = Some(shadow);
        hold("j4_the_state_is_the_fold_of_the_journal", same, || "after a resume".to_owned())
    }

    /// Something was decided and isn't committed yet.
    pub fn decided(&mut self, rows: &[(Stamp, Event)], live: &Engine) -> Result<(), Broken> {
        for (at, event) in rows {
            let folded = match &mut self.shadow {
                Some(shadow) => shadow.fold(*at, event),
                None => Engine::replay([(*at, event.clone())]).map(|engine| self.shadow = Some(engine)),
            };
            folded.map_err(|error| Broken::new("j12_every_past_is_legal", error))?;
        }
        self.decided += rows.len();
        let same = self.shadow.as_ref().is_some_and(|shadow| shadow.state() == live.state());
        hold("j4_the_state_is_the_fold_of_the_journal", same, || {
            format!("after {:?}", rows.iter().map(|(_, event)| event.kind()).collect::<Vec<_>>())
        })
    }

    /// Rows are on the disk.
    pub fn committed(&mut self, rows: &[(Stamp, Event)], world: &World) -> Result<(), Broken> {
        self.l5_a_claim_is_whole(rows)?;
        for row in rows {
            self.purse_row(row)?;
            self.limit_row(row)?;
            self.row(&row.1, world)?;
        }
        self.book.rows += rows.len();
        if let Some(shadow) = self.shadow.as_ref().filter(|_| self.book.rows == self.decided) {
            self.d9_the_ledger_is_the_sum_of_the_rows(shadow.state())?;
        }
        self.l4_one_live_claim_a_task()?;
        self.limits_workers()
    }

    /// An effect is started: its cause must be on the disk.
    pub fn law_1_acting(&self, effect: &Effect) -> Result<(), Broken> {
        let owed = self.shadow.as_ref().is_some_and(|shadow| shadow.outstanding().contains(effect));
        hold("law_1_record_then_act", self.book.rows == self.decided && owed, || {
            format!("{effect:?} with {} of {} rows committed, owed: {owed}", self.book.rows, self.decided)
        })
    }

    /// A beat is handed in.
    pub fn beat(&mut self, worker: &str, beat: Beat, world: &World) {
        self.book.beat(worker, beat, Moment(world.now));
    }

    /// A life begins: nobody could look until now.
    pub fn begins(&mut self, world: &World) {
        self.book.regained = Moment(world.now);
        self.book.looked = Moment(world.now);
    }

    /// A turn begins; after a gap of the supervisor's own nobody could look until now. The
    /// look that comes every second is no gap.
    pub fn turns(&mut self, world: &World) {
        self.book.workers.values_mut().for_each(|held| held.sign_before = held.sign);
        let before = std::mem::replace(&mut self.book.looked, Moment(world.now));
        let half = self.book.workflow.heartbeat.unhealthy_after / 2;
        if self.book.looked.since(before) > Duration::from_secs(1) + half {
            self.book.regained = Moment(world.now);
        }
    }

    /// A turn is over.
    pub fn turned(&self, state: &RunState, world: &World) -> Result<(), Broken> {
        self.j4_derived_fields(state)?;
        self.l1_no_wait_outlives_its_worker(Moment(world.now), state)
    }

    /// A step of the world is over.
    pub fn stepped(&mut self, world: &World) -> Result<(), Broken> {
        self.l16_a_dispatch_is_delivered_at_most_once(world)?;
        Self::l16_an_answer_is_delivered_at_most_once(world)?;
        while self.judged < world.ledger.executions.len() {
            self.j6_executes(self.judged, world)?;
            self.judged += 1;
        }
        Ok(())
    }

    /// Whether what was seen is said under a dead token.
    pub fn is_dead(&self, worker: &str, seen: &Seen) -> bool {
        let token = match seen {
            Seen::Acknowledged { token } => Some(*token),
            Seen::Beat(beat) => beat.token,
            Seen::Reported { report, .. } => Some(report.token),
            Seen::Submitted { submission, .. } => Some(submission.token),
            Seen::Launched { .. }
            | Seen::LaunchFailed { .. }
            | Seen::Queued { .. }
            | Seen::Starting { .. }
            | Seen::Begun { .. }
            | Seen::Suspended { .. }
            | Seen::GoesOn
            | Seen::Ready { .. }
            | Seen::BadFile { .. }
            | Seen::Ended { .. }
            | Seen::Gone { .. }
            | Seen::Stopped { .. }
            | Seen::NotStopped { .. }
            | Seen::Captured { .. }
            | Seen::Vanished { .. }
            | Seen::Judged { .. } => None,
        };
        token.is_some_and(|token| {
            self.book.workers.get(worker).is_some_and(|known| !known.live || known.token != token)
        })
    }

    /// How often each kind of event was committed, and each cause of a revocation named.
    pub fn seen(&self) -> &BTreeMap<String, u64> {
        &self.book.kinds
    }

    /// Every row stays as it was, but for one event.
    pub fn l7_dead_tokens_change_nothing(
        &self,
        mut before: Engine,
        after: &Engine,
        input: &Input,
    ) -> Result<(), Broken> {
        let law = "l7_dead_tokens_change_nothing";
        let old = before.take_events().len();
        let new: Vec<Event> = after.clone().take_events().split_off(old);
        let refused = new.iter().all(|event| match event {
            Event::Ignored(_) => true,
            Event::Report(event) => matches!(event.step, ilchul::engine::event::ReportStep::Refused { .. }),
            Event::Run(_) | Event::Task(_) | Event::Worker(_) | Event::Claim(_) | Event::Evidence(_) => false,
        });
        hold(law, refused && new.len() <= 1, || format!("{input:?} led to {new:?}"))?;
        let mut now = after.state().clone();
        now.last_at = before.state().last_at;
        for (id, worker) in &mut now.workers {
            worker.seen_reports.clone_from(&before.state().workers[id].seen_reports);
        }
        hold(law, now == *before.state(), || format!("{input:?} changed a row"))?;
        hold(law, before.next_deadline() == after.next_deadline(), || format!("{input:?} moved a deadline"))
    }
}
