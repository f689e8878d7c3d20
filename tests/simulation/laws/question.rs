//! Laws about questions and rate limits: who is answered, how often, and who has to wait.

use ilchul::engine::event::{Event, TaskStep};
use ilchul::engine::moment::Stamp;
use ilchul::workflow::TaskKind;

use super::{Broken, Laws, hold};
use crate::world::World;

impl Laws {
    /// An answer is given to whoever asks, under a live token, with the next number.
    pub(super) fn l7_only_who_asks_is_answered(&self, id: &str, n: u32) -> Result<(), Broken> {
        let asks = self.book.tasks.get(id).is_some_and(|tried| tried.asks && tried.answers + 1 == n);
        let live = self.book.holder(id).is_some_and(|held| held.live);
        hold("l7_only_who_asks_is_answered", asks && live, || format!("`{id}` gets answer {n}"))
    }

    /// What a person said reaches the worker once, whatever crashed.
    pub(super) fn l16_an_answer_is_delivered_at_most_once(world: &World) -> Result<(), Broken> {
        let twice = world.ledger.given.iter().find(|(_, times)| **times > 1);
        hold("l16_an_answer_is_delivered_at_most_once", twice.is_none(), || format!("{twice:?}"))
    }

    /// Nobody of an agent is started before its provider's time, whoever drives the run by then.
    pub(super) fn limit_row(&mut self, (at, event): &(Stamp, Event)) -> Result<(), Broken> {
        let Event::Task(event) = event else { return Ok(()) };
        let planned = self.book.workflow.tasks.iter().find(|task| task.id == event.task);
        let whose = match planned.map(|task| &task.kind) {
            Some(TaskKind::Agent { agent, .. }) => format!("agent {agent}"),
            _ => event.task.clone(),
        };
        let until = self.book.limited.get(&whose).copied().unwrap_or_default();
        if let TaskStep::RateLimited { until: new } = &event.step {
            *self.book.kinds.entry("cause: rate_limited".to_owned()).or_default() += 1;
            self.book.limited.insert(whose, until.max(*new));
        } else if let TaskStep::Claimed { .. } = &event.step {
            hold("a_limit_keeps_its_agent_waiting", until <= at.moment, || {
                format!("`{}` is claimed at {}, limited until {}", event.task, at.moment.0, until.0)
            })?;
        }
        Ok(())
    }
}
