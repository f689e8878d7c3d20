//! `ilchul wait`: until tasks, or the whole run, have ended.
//!
//! It follows the journal and knows nothing else: what isn't committed hasn't happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::away::FRONT;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::{self, Output};
use super::place::Place;
use super::read::{self, OfRun, Read};
use crate::engine::event::{Event, RunEvent, TaskStep};
use crate::engine::task_table::TaskPhase;
use crate::engine::view::RunView;
use crate::journal::Recorded;
use crate::render::words::{answers, count, line};

/// How often the journal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Looks from one look at the lock to the next.
const LOCK_AFTER: u32 = 20;
/// How long a run may be without a supervisor: one may just be taking over.
const UNHELD: Duration = Duration::from_secs(2);

/// Arguments of `wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The tasks; the whole run by default.
    tasks: Vec<String>,
    /// Until one of them has ended, not all.
    #[arg(long)]
    any: bool,
    /// Give up after this time (`30s`, `5m`, a number of seconds) with exit code 4.
    #[arg(long, value_name = "T", value_parser = duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    of: OfRun,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let span: Option<jiff::SignedDuration> = text.parse().ok();
    span.and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| "it isn't a time like `30s`, `5m` or `1h30m`".to_owned())
}

/// How a task or a run ended, as far as it has.
#[derive(Debug, Default)]
struct Seen {
    /// Phase, and whether it was skipped by design.
    tasks: BTreeMap<String, (TaskPhase, bool)>,
    /// With or without success.
    ended: Option<bool>,
}

/// Runs it.
///
/// # Errors
/// When there is no such run or task (1), time is up or nobody drives the run (4).
pub fn run(global: &Global, args: &WaitArgs, output: Output) -> Result<Exit, CliError> {
    let start = Instant::now();
    let mut seen = Seen::default();
    let (mut read, ()) = Read::open_with(global, &args.of, |rows| seen.take(rows))?;
    for name in &args.tasks {
        read.task(name)?;
    }
    let mut asked = tell(&read.view, &BTreeSet::new());
    let mut watch = Watch { since: None, looks: 0 };
    // Here a signal ends it; there nobody sends one, and what it prints at the end is for nobody.
    let is_for_front = std::env::var_os(FRONT).is_some();
    loop {
        if let Some(good) = seen.verdict(args) {
            show(&read.view.id, &seen, args, good, output);
            return Ok(if good { Exit::Done } else { Exit::Failed });
        }
        if args.timeout.is_some_and(|timeout| start.elapsed() >= timeout) {
            return Err(timed_out(&seen, args));
        }
        if args.timeout.is_none() && watch.is_abandoned(&read.place, &read.view.id)? {
            let message = format!("wait for the run `{}`: nobody drives it", read.view.id);
            return Err(CliError::new("interrupted", message)
                .exit(Exit::Interrupted)
                .hint("Run `ilchul up` to go on with it, or give `--timeout` to wait for that too."));
        }
        if is_for_front && !read::pause_for_reader(LOOK_EVERY) {
            return Ok(Exit::Interrupted);
        }
        if !is_for_front {
            read::pause(LOOK_EVERY);
        }
        let rows = read.follower.poll()?;
        seen.take(&rows);
        if rows
            .iter()
            .any(|row| matches!(&row.event, Event::Evidence(event) if event.checked.is_unanswered()))
        {
            // Whether a person is really asked follows from the whole state, so it is read anew.
            let of = OfRun { run: Some(read.view.id.clone()) };
            asked.extend(tell(&Read::open(global, &of)?.view, &asked));
        }
    }
}

/// Says what waits for a person, but for what was told before; answers what was told now, by
/// task and attempt.
fn tell(view: &RunView, told: &BTreeSet<(String, u32)>) -> BTreeSet<(String, u32)> {
    let mut now = BTreeSet::new();
    for task in &view.tasks {
        let one = (task.id.clone(), task.attempt);
        let Some(message) = task.asks.as_deref().filter(|_| !told.contains(&one)) else { continue };
        let answer = answers(&task.id, "");
        output::talk(&format!("`{}` waits for your approval: {} ({answer})", task.id, line(message)));
        now.insert(one);
    }
    now
}

/// Watches over whether anybody drives the run.
struct Watch {
    since: Option<Instant>,
    looks: u32,
}

impl Watch {
    fn is_abandoned(&mut self, place: &Place, run: &str) -> Result<bool, CliError> {
        self.looks += 1;
        if self.looks % LOCK_AFTER != 1 {
            return Ok(false);
        }
        if read::is_held(place, run)? {
            self.since = None;
            return Ok(false);
        }
        Ok(self.since.get_or_insert_with(Instant::now).elapsed() >= UNHELD)
    }
}

impl Seen {
    fn take(&mut self, rows: &[Recorded]) {
        for row in rows {
            match &row.event {
                Event::Run(event) => self.take_run(event),
                Event::Task(event) => {
                    let name = row.event.kind();
                    let word = name.strip_prefix("task.").unwrap_or_default();
                    if let Some(phase) = TaskPhase::ALL.into_iter().find(|phase| phase.word() == word) {
                        let by_design = matches!(
                            event.step,
                            TaskStep::NeedsImpossible { by_design: true, .. } | TaskStep::Withdrawn
                        );
                        self.tasks.insert(event.task.clone(), (phase, by_design));
                    }
                }
                Event::Worker(_)
                | Event::Claim(_)
                | Event::Report(_)
                | Event::Evidence(_)
                | Event::Ignored(_) => {}
            }
        }
    }

    fn take_run(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started(started) => {
                let ids = started.workflow.tasks.iter().map(|task| task.id.clone());
                self.tasks = ids.map(|id| (id, (TaskPhase::Pending, false))).collect();
            }
            RunEvent::Adopted(adopted) => {
                // What the edit lost stays: somebody may wait for it by name.
                for task in &adopted.workflow.tasks {
                    self.tasks.entry(task.id.clone()).or_insert((TaskPhase::Pending, false));
                }
                self.ended = None;
            }
            RunEvent::Extended(extended) => {
                // One of an earlier plan may have ended under this name: it is another task now.
                let made = extended.tasks.iter().map(|task| (task.id.clone(), (TaskPhase::Pending, false)));
                self.tasks.extend(made);
            }
            RunEvent::Ended { success, .. } => self.ended = Some(*success),
            RunEvent::Reopened { .. } | RunEvent::Resumed { .. } => self.ended = None,
            RunEvent::Interrupted { .. }
            | RunEvent::Stopping { .. }
            | RunEvent::Halted(_)
            | RunEvent::Drifted(_) => {}
        }
    }

    /// How what is waited for has ended; `None` while it hasn't.
    fn verdict(&self, args: &WaitArgs) -> Option<bool> {
        if args.tasks.is_empty() && !args.any {
            return self.ended;
        }
        let mut ends = self
            .wanted(args)
            .map(|(_, (phase, by_design))| (phase.is_terminal(), is_good(*phase, *by_design)));
        if args.any {
            let over: Vec<bool> = ends.filter(|(over, _)| *over).map(|(_, good)| good).collect();
            return (!over.is_empty()).then(|| over.contains(&true));
        }
        ends.try_fold(true, |all, (over, good)| over.then_some(all && good))
    }

    fn wanted<'s>(&'s self, args: &'s WaitArgs) -> impl Iterator<Item = (&'s String, &'s (TaskPhase, bool))> {
        self.tasks.iter().filter(|(id, _)| args.tasks.is_empty() || args.tasks.contains(id))
    }
}

fn is_good(phase: TaskPhase, by_design: bool) -> bool {
    phase == TaskPhase::Completed || (phase == TaskPhase::Skipped && by_design)
}

fn timed_out(seen: &Seen, args: &WaitArgs) -> CliError {
    let open: Vec<&str> =
        seen.wanted(args).filter(|(_, (phase, _))| !phase.is_terminal()).map(|(id, _)| id.as_str()).collect();
    let message = match open[..] {
        [] => "wait: the time is up, and the run hasn't ended".to_owned(),
        [one] => format!("wait: the time is up, and `{one}` hasn't ended"),
        [first, ..] => format!(
            "wait: the time is up, and {} haven't ended, `{first}` among them",
            count(open.len(), "task")
        ),
    };
    let hint = open
        .first()
        .map_or_else(String::new, |id| format!("Run `ilchul why {id}` to see what it waits for."));
    CliError::new("timeout", message).exit(Exit::Interrupted).hint(hint)
}

fn show(run: &str, seen: &Seen, args: &WaitArgs, good: bool, output: Output) {
    let tasks = || {
        seen.wanted(args)
            .map(|(id, (phase, _))| json!({"id": id, "state": phase.word()}))
            .collect::<Vec<Value>>()
    };
    let data = || json!({"run": run, "success": good, "tasks": tasks()});
    output.result(data, || {
        if args.tasks.is_empty() && !args.any {
            return format!("Run {run} has ended {} success.\n", if good { "with" } else { "without" });
        }
        let over = seen.wanted(args).filter(|(_, (phase, _))| phase.is_terminal());
        over.map(|(id, (phase, _))| format!("{id} {phase}\n")).collect()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(tasks: &[&str], any: bool) -> WaitArgs {
        let tasks = tasks.iter().map(|task| (*task).to_owned()).collect();
        WaitArgs { tasks, any, timeout: None, of: OfRun { run: None } }
    }

    fn seen(tasks: &[(&str, TaskPhase, bool)]) -> Seen {
        let tasks =
            tasks.iter().map(|(id, phase, by_design)| ((*id).to_owned(), (*phase, *by_design))).collect();
        Seen { tasks, ended: None }
    }

    #[test]
    fn named_tasks_are_waited_for_until_all_have_ended() {
        let one = seen(&[("a", TaskPhase::Completed, false), ("b", TaskPhase::InProgress, false)]);
        assert_eq!(one.verdict(&args(&["a"], false)), Some(true));
        assert_eq!(one.verdict(&args(&["a", "b"], false)), None);
        assert_eq!(one.verdict(&args(&["a", "b"], true)), Some(true));
        let failed = seen(&[("a", TaskPhase::Failed, false), ("b", TaskPhase::InProgress, false)]);
        assert_eq!(failed.verdict(&args(&["a", "b"], false)), None, "the other one may still end");
        assert_eq!(failed.verdict(&args(&["a", "b"], true)), Some(false));
    }

    #[test]
    fn skipped_by_design_is_done_and_skipped_for_a_failure_is_not() {
        let both = seen(&[("a", TaskPhase::Skipped, true), ("b", TaskPhase::Skipped, false)]);
        assert_eq!(both.verdict(&args(&["a"], false)), Some(true));
        assert_eq!(both.verdict(&args(&["b"], false)), Some(false));
    }

    #[test]
    fn the_run_itself_has_ended_only_by_its_own_event() {
        let mut run = seen(&[("a", TaskPhase::Completed, false)]);
        assert_eq!(run.verdict(&args(&[], false)), None);
        run.take_run(&RunEvent::Ended { success: true, halted: None });
        assert_eq!(run.verdict(&args(&[], false)), Some(true));
        run.take_run(&RunEvent::Reopened { task: "a".to_owned() });
        assert_eq!(run.verdict(&args(&[], false)), None);
    }

    #[test]
    fn an_adopted_edit_makes_the_run_unfinished_and_its_new_tasks_known() {
        let mut run = seen(&[("a", TaskPhase::Completed, false), ("old", TaskPhase::Failed, false)]);
        run.take_run(&RunEvent::Ended { success: false, halted: None });
        let text = "version: 1\ntasks: { a: { run: x }, b: { run: x } }\n";
        let workflow = crate::workflow::load("x.yaml", text.as_bytes()).unwrap().workflow;
        run.take_run(&RunEvent::Adopted(Box::new(crate::engine::event::Adopted {
            digest: String::new(),
            copy: "workflow-2.yaml".to_owned(),
            base: String::new(),
            base_name: "HEAD".to_owned(),
            bases: std::collections::BTreeMap::new(),
            workers: 1,
            setup: None,
            workflow,
        })));
        assert_eq!(run.verdict(&args(&[], false)), None);
        assert_eq!(run.verdict(&args(&["b"], false)), None);
        assert_eq!(run.verdict(&args(&["a"], false)), Some(true));
        assert_eq!(run.verdict(&args(&["old"], false)), Some(false));
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("soon").is_err() && duration("-5s").is_err());
    }
}
