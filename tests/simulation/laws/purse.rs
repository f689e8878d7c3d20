//! Laws about what may be used up: tokens, money, the run's time, and what fails.
//!
//! Kept from committed rows alone, in sums of its own; what the engine holds is compared
//! with them. It leaves out attempts and places (`journal.rs`).

use std::collections::BTreeMap;

use ilchul::engine::budget::{Amounts, Channel, Charge};
use ilchul::engine::event::{ClaimStep, Event, RunEvent};
use ilchul::engine::halt::Halt;
use ilchul::engine::moment::{Moment, Stamp};
use ilchul::engine::state::RunState;

use super::{Broken, Laws, hold};

/// What the rows say of tokens and money.
#[derive(Debug, Default)]
pub struct Purse {
    /// By worker, until it is settled.
    held: BTreeMap<String, Amounts>,
    settled: BTreeMap<String, Charge>,
    /// Somebody used something without saying how much: by channel.
    closed: [bool; 2],
    /// What stopped the run, unless a person went on with it.
    pub(super) halted: Option<Halt>,
}

impl Purse {
    fn reserved(&self, channel: Channel) -> u64 {
        self.held.values().filter_map(|held| held.of(channel)).sum()
    }

    fn spent(&self, channel: Channel) -> u64 {
        self.settled.values().filter_map(|charge| charge.spent.of(channel)).sum()
    }
}

impl Laws {
    pub(super) fn purse_row(&mut self, (at, event): &(Stamp, Event)) -> Result<(), Broken> {
        match event {
            Event::Run(RunEvent::Halted(halted)) => {
                let law = "halted_once_and_for_a_cause";
                let first = self.book.purse.halted.replace(halted.by).is_none();
                let due = halted.by != Halt::Wall || self.deadline().is_some_and(|due| due <= at.moment);
                hold(law, first && due, || format!("{halted:?} at {at:?}"))?;
            }
            Event::Run(RunEvent::Reopened { .. } | RunEvent::Adopted(_)) => self.book.purse.halted = None,
            Event::Run(RunEvent::Ended { success, halted }) => {
                let left = format!("{:?}", self.book.purse.held);
                hold("d9_an_ended_run_holds_nothing", self.book.purse.held.is_empty(), || left)?;
                let same = *halted == self.book.purse.halted && !(*success && halted.is_some());
                hold("an_end_says_what_stopped_the_run", same, || format!("{halted:?}, {success}"))?;
            }
            Event::Claim(event) => match &event.step {
                ClaimStep::Granted { reserved, .. } => {
                    let stopped = self.book.purse.halted;
                    hold("j8_nothing_starts_in_a_stopped_run", stopped.is_none(), || event.worker.clone())?;
                    let in_time = self.deadline().is_none_or(|due| at.moment < due);
                    hold("j8_nothing_starts_after_the_runs_time", in_time, || event.worker.clone())?;
                    self.d9_never_promised_twice(&event.worker, reserved)?;
                }
                ClaimStep::Settled(charge) => self.d9_settled_once(&event.worker, charge)?,
                ClaimStep::Renewed { .. }
                | ClaimStep::Expired
                | ClaimStep::Revoked { .. }
                | ClaimStep::Closed => {}
            },
            Event::Run(
                RunEvent::Started(_)
                | RunEvent::Resumed { .. }
                | RunEvent::Interrupted { .. }
                | RunEvent::Stopping { .. }
                | RunEvent::Drifted(_)
                | RunEvent::Extended(_),
            )
            | Event::Task(_)
            | Event::Worker(_)
            | Event::Report(_)
            | Event::Evidence(_)
            | Event::Ignored(_) => {}
        }
        Ok(())
    }

    fn deadline(&self) -> Option<Moment> {
        let started = self.shadow.as_ref().map(|shadow| shadow.state().started_at.moment).unwrap_or_default();
        self.book.workflow.limits.wall.map(|wall| started.after(wall))
    }

    fn total(&self, channel: Channel) -> Option<u64> {
        let limits = &self.book.workflow.limits;
        match channel {
            Channel::Tokens => limits.tokens,
            // Amounts of the plan have few decimals, so text is exact.
            Channel::Usd => limits.usd.and_then(|usd| format!("{usd:.6}").replace('.', "").parse().ok()),
        }
    }

    /// What is promised was there, and nobody starts on what nobody knows.
    fn d9_never_promised_twice(&mut self, worker: &str, reserved: &Amounts) -> Result<(), Broken> {
        let task = worker.rsplit_once('.').map_or(worker, |(task, _)| task);
        let planned = self.book.workflow.tasks.iter().find(|planned| planned.id == task);
        let may_spend = planned.is_some_and(|planned| planned.kind.may_spend());
        for (n, channel) in Channel::ALL.into_iter().enumerate() {
            let Some(total) = self.total(channel) else { continue };
            let purse = &self.book.purse;
            let before = purse.reserved(channel).saturating_add(purse.spent(channel));
            let wants = reserved.of(channel);
            let fits = wants.is_none_or(|wants| before.saturating_add(wants) <= total);
            hold("d9_never_promised_twice", fits, || {
                format!("`{worker}` gets {wants:?} of {total} {}, {before} are gone", channel.word())
            })?;
            let ceiling = planned.is_some_and(|planned| match channel {
                Channel::Tokens => planned.budget.tokens.is_some(),
                Channel::Usd => planned.budget.usd.is_some(),
            });
            let needs = may_spend || ceiling;
            hold("d9_whoever_needs_a_share_has_one", needs == wants.is_some(), || worker.to_owned())?;
            hold("d9_a_closed_channel_starts_nobody", !(needs && purse.closed[n]), || worker.to_owned())?;
        }
        if !reserved.is_empty() {
            self.book.purse.held.insert(worker.to_owned(), *reserved);
        }
        Ok(())
    }

    /// Once, after the token died, and for nothing less than what is known to be used.
    fn d9_settled_once(&mut self, worker: &str, charge: &Charge) -> Result<(), Broken> {
        let held = self.book.workers.get(worker);
        let live = held.is_some_and(|held| held.live);
        let ran = held.is_some_and(|held| held.dispatched.is_some());
        let over = held.is_some_and(|held| held.over);
        hold("d9_settled_after_its_end", !live, || worker.to_owned())?;
        let reserved = self.book.purse.held.remove(worker).unwrap_or_default();
        for (n, channel) in Channel::ALL.into_iter().enumerate() {
            let spent = charge.spent.of(channel).unwrap_or(0);
            let doubt = ran && !over;
            let whole = !doubt || spent >= reserved.of(channel).unwrap_or(0);
            hold("d9_in_doubt_is_charged_whole", whole, || format!("`{worker}`: {charge:?}, {reserved:?}"))?;
            hold("j6_what_never_ran_costs_nothing", ran || spent == 0, || format!("`{worker}`: {charge:?}"))?;
            self.book.purse.closed[n] |= charge.unknown.contains(&channel);
        }
        let again = self.book.purse.settled.insert(worker.to_owned(), charge.clone());
        hold("d9_settled_once", again.is_none(), || worker.to_owned())
    }

    /// Free, reserved and spent are the total, and what the rows say.
    pub(super) fn d9_the_ledger_is_the_sum_of_the_rows(&self, state: &RunState) -> Result<(), Broken> {
        for channel in Channel::ALL {
            let account = state.ledger.of(channel);
            let purse = &self.book.purse;
            let same = u64::try_from(account.reserved) == Ok(purse.reserved(channel))
                && u64::try_from(account.spent) == Ok(purse.spent(channel));
            let whole =
                account.total.is_none_or(|total| account.free + account.reserved + account.spent == total);
            hold("d9_the_ledger_is_the_sum_of_the_rows", same && whole, || {
                format!("{account:?}, {purse:?}")
            })?;
        }
        Ok(())
    }
}
