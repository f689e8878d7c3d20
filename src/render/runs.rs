//! The list of runs.
//!
//! A line is made from a run's own events alone, so that a list of many runs needs
//! no fold of each. It leaves out tasks and workers.

use super::table::{Screen, Table, Tone};
use super::words::{ago, line, run_state, short, span};
use crate::engine::halt::Halt;
use crate::engine::moment::Stamp;
use crate::engine::state::RunPhase;
use crate::engine::view::RunView;

/// One run in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLine {
    /// The run's id.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
    /// Where it says it is.
    pub phase: RunPhase,
    /// A supervisor holds it now.
    pub held: bool,
    /// The full commit id it started from.
    pub base: String,
    /// What that was written as.
    pub base_name: String,
    /// When it started.
    pub started_at: Stamp,
    /// When it ended.
    pub ended_at: Option<Stamp>,
    /// What stopped it before its tasks were through.
    pub halted: Option<Halt>,
}

impl RunLine {
    /// The line of a run that was folded.
    #[must_use]
    pub fn of(view: &RunView, held: bool) -> Self {
        Self {
            id: view.id.clone(),
            workflow: view.workflow.clone(),
            phase: view.phase,
            held,
            base: view.base.clone(),
            base_name: view.base_name.clone(),
            started_at: view.started_at,
            ended_at: view.ended_at,
            halted: view.halted.as_ref().map(|halted| halted.by),
        }
    }

    /// `running`, `interrupted` or `ended`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        run_state(self.phase, self.held)
    }

    fn result(&self) -> (&'static str, Tone) {
        match self.phase {
            RunPhase::Running if self.held => ("", Tone::Good),
            RunPhase::Running => ("its supervisor is gone: `ilchul up` goes on", Tone::Warn),
            RunPhase::Interrupted => ("`ilchul up` goes on", Tone::Warn),
            RunPhase::Ended { success: true } => {
                ("every task completed or was skipped by design", Tone::Good)
            }
            RunPhase::Ended { success: false } => match self.halted {
                None => ("some tasks didn't complete", Tone::Bad),
                Some(Halt::Wall) => ("its time was used up", Tone::Bad),
                Some(Halt::Breaker) => ("too many attempts failed", Tone::Bad),
            },
        }
    }
}

/// The table of `runs`, oldest first.
#[must_use]
pub fn text(runs: &[RunLine], screen: Screen) -> String {
    if runs.is_empty() {
        return "There has been no run here. Run `ilchul up` to start one.\n".to_owned();
    }
    let mut table = Table::new(screen, &["RUN", "WORKFLOW", "STATE", "STARTED", "TOOK", "BASE", "REASON"]);
    for run in runs {
        let (result, tone) = run.result();
        let took = run.ended_at.map(|at| span(at.wall_ms - run.started_at.wall_ms)).unwrap_or_default();
        let cells = vec![
            run.id.clone(),
            line(&run.workflow),
            run.state().to_owned(),
            ago(screen.now_ms, run.started_at.wall_ms),
            took,
            format!("{} ({})", line(&run.base_name), line(short(&run.base))),
            result.to_owned(),
        ];
        table.row(cells, 2, tone);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn runs_are_listed_with_their_state_age_and_result() {
        let running = RunLine::of(&sample::view(), true);
        let lost = RunLine { held: false, ..running.clone() };
        let mut ended = RunLine { phase: RunPhase::Ended { success: false }, ..running.clone() };
        ended.ended_at = Some(sample::at(65));
        insta::assert_snapshot!(text(&[ended, lost, running], sample::screen()), @r#"
        RUN                   WORKFLOW  STATE        STARTED    TOOK   BASE                 REASON
        20231114-221320-ab12  nightly   ended        2 min ago  1 min  main (aaaaaaaaaaaa)  some tasks didn't complete
        20231114-221320-ab12  nightly   interrupted  2 min ago  -      main (aaaaaaaaaaaa)  its supervisor is gone: `ilchul up` goes on
        20231114-221320-ab12  nightly   running      2 min ago  -      main (aaaaaaaaaaaa)  -
        "#);
    }

    #[test]
    fn no_runs_are_said_in_words() {
        assert!(text(&[], sample::screen()).contains("no run here"));
    }
}
