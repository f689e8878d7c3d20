//! What a supervisor counts, in the text format that Prometheus reads (version 0.0.4): pure.
//!
//! Names end in their unit, counters in `_total`; there is no series for a task, because their
//! number has no bound. It leaves out when and where it is written.

use std::fmt::Write as _;

use crate::engine::budget::Channel;
use crate::engine::outstanding::asked;
use crate::engine::state::{RunPhase, RunState};
use crate::engine::task_table::TaskPhase;
use crate::engine::worker_table::WorkerPhase;

/// What no state holds: counts and times of the supervisor's own life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Life {
    /// Events that it has journaled.
    pub events: u64,
    /// Batches that it has committed.
    pub batches: u64,
    /// Reports that it has accepted.
    pub accepted: u64,
    /// Reports that it has refused.
    pub refused: u64,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
}

/// The page.
#[must_use]
pub fn text(state: &RunState, life: &Life) -> String {
    let mut page = Page { text: String::new(), run: format!("run=\"{}\"", escaped(&state.started.run)) };
    page.info(state);
    page.tasks(state);
    page.workers(state);
    page.budget(state);
    page.life(life);
    page.text
}

struct Page {
    text: String,
    run: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string can't fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let (run, comma) = (&self.run, if labels.is_empty() { "" } else { "," });
        let _ = writeln!(self.text, "{name}{{{run}{comma}{labels}}} {value}");
    }

    fn one(&mut self, name: &str, (kind, help): (&str, &str), value: impl std::fmt::Display) {
        self.family(name, kind, help);
        self.sample(name, "", value);
    }

    fn info(&mut self, state: &RunState) {
        let workflow = format!("workflow=\"{}\"", escaped(&state.workflow().name));
        let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
        self.family("ilchul_run_info", "gauge", "The run that this supervisor drives.");
        self.sample("ilchul_run_info", &format!("{workflow},{version}"), 1);
        self.family("ilchul_run_state", "gauge", "1 for the state that the run is in.");
        let now = match state.phase {
            RunPhase::Running => "running",
            RunPhase::Interrupted => "interrupted",
            RunPhase::Ended { success: true } => "done",
            RunPhase::Ended { success: false } => "failed",
        };
        for word in ["running", "interrupted", "done", "failed"] {
            self.sample("ilchul_run_state", &format!("state=\"{word}\""), u8::from(word == now));
        }
    }

    fn tasks(&mut self, state: &RunState) {
        self.family("ilchul_tasks", "gauge", "Tasks of the run by state.");
        // Of those that an edit took out as well: what only grows must not shrink.
        let attempts: u64 = state.tasks.iter().map(|task| u64::from(task.attempt)).sum();
        let mut count = std::collections::BTreeMap::new();
        for task in state.tasks.iter().filter(|task| !task.removed) {
            *count.entry(task.phase).or_insert(0_u64) += 1;
        }
        for phase in TaskPhase::ALL {
            let count = count.get(&phase).copied().unwrap_or_default();
            self.sample("ilchul_tasks", &format!("state=\"{}\"", phase.word()), count);
        }
        let waiting = state.moving.iter().filter(|task| asked(state, **task).is_some());
        let waiting = waiting.count()
            + usize::try_from(count.get(&TaskPhase::Blocked).copied().unwrap_or(0)).unwrap_or(0);
        let help = "Tasks that only a person can let go on.";
        self.one("ilchul_tasks_waiting_for_person", ("gauge", help), waiting);
        self.one("ilchul_attempts_total", ("counter", "Attempts of all tasks of the run."), attempts);
    }

    fn workers(&mut self, state: &RunState) {
        self.family("ilchul_workers", "gauge", "Workers of the run by state.");
        let mut count = std::collections::BTreeMap::new();
        for worker in state.workers.values() {
            *count.entry(worker.phase).or_insert(0_u64) += 1;
        }
        for phase in WorkerPhase::ALL {
            let count = count.get(&phase).copied().unwrap_or_default();
            self.sample("ilchul_workers", &format!("state=\"{}\"", phase.word()), count);
        }
        let help = "Live workers that the run may have at once.";
        self.one("ilchul_workers_limit", ("gauge", help), state.started.workers);
    }

    fn budget(&mut self, state: &RunState) {
        for (channel, name, unit) in [
            (Channel::Tokens, "ilchul_budget_tokens", "tokens"),
            (Channel::Usd, "ilchul_budget_dollars", "US dollars"),
        ] {
            let account = state.ledger.of(channel);
            let help = format!("The run's {unit}: spent and reserved; limit and free where it has a limit.");
            self.family(name, "gauge", &help);
            let limit = account.total.map(|total| ("limit", total));
            let free = account.total.map(|_| ("free", account.free));
            let used = [Some(("spent", account.spent)), Some(("reserved", account.reserved)), limit, free];
            for (part, amount) in used.into_iter().flatten() {
                self.sample(name, &format!("part=\"{part}\""), channel.number(amount));
            }
        }
    }

    fn life(&mut self, life: &Life) {
        let seconds = |ms: i64| format!("{}.{:03}", ms.max(0) / 1000, ms.max(0) % 1000);
        let help = "Events journaled by this supervisor.";
        self.one("ilchul_supervisor_events_total", ("counter", help), life.events);
        let help = "Transactions committed by this supervisor.";
        self.one("ilchul_supervisor_commits_total", ("counter", help), life.batches);
        self.family(
            "ilchul_supervisor_reports_total",
            "counter",
            "Reports of workers, by what became of them.",
        );
        self.sample("ilchul_supervisor_reports_total", "outcome=\"accepted\"", life.accepted);
        self.sample("ilchul_supervisor_reports_total", "outcome=\"refused\"", life.refused);
        let help = "When this supervisor began, since 1970.";
        self.one("ilchul_supervisor_start_time_seconds", ("gauge", help), seconds(life.started_ms));
        let help = "When this page was made, since 1970: one that stands still has no supervisor.";
        self.one("ilchul_supervisor_last_write_time_seconds", ("gauge", help), seconds(life.now_ms));
    }
}

/// A label's value: what would end it is escaped.
fn escaped(value: &str) -> String {
    super::clean(value).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_can_t_be_ended_by_its_value() {
        assert_eq!(escaped("a\"b\\c\nd\u{1b}"), "a\\\"b\\\\c\\nd\\\\u{1b}");
    }
}
