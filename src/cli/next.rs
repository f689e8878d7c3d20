//! `ilchul next`: to the terminal of the worker that has waited longest for a person.
//!
//! It leaves out approvals, which no worker waits for; it names them.

use std::io::IsTerminal;

use clap::Args;
use serde_json::{Value, json};

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::{OfRun, Read};
use super::{Global, attach};
use crate::engine::view::{TaskView, WorkerView};
use crate::render::words::{ago, answers, line, respond, time};
use crate::supervisor::clock::wall_ms;

/// Arguments of `next`.
#[derive(Debug, Args)]
pub struct NextArgs {
    /// Say who waits, and go nowhere.
    #[arg(long)]
    print: bool,
    #[command(flatten)]
    of: OfRun,
}

impl NextArgs {
    /// Whether it goes to a terminal, and doesn't only say who waits.
    pub(super) fn goes(&self) -> bool {
        !self.print
    }
}

/// A worker that waits for a person.
struct Waiting<'v> {
    task: &'v TaskView,
    worker: &'v WorkerView,
    /// What it asks; none: it was lost, and somebody has to decide.
    asks: Option<String>,
    since_ms: i64,
}

/// Runs it. Where somebody waits at a terminal and there is one here, tmux takes this process's place.
///
/// # Errors
/// When there is no such run, the journal is damaged, or the terminal is gone.
pub fn run(global: &Global, args: &NextArgs, output: Output) -> Result<Exit, CliError> {
    let read = Read::open(global, &args.of)?;
    let mut waiting = waiting(&read);
    waiting.sort_by_key(|one| one.since_ms);
    let of_run = args.of.run.as_ref().map_or_else(String::new, |_| format!(" --run {}", read.view.id));
    let Some(first) = waiting.first() else {
        output.result(|| Value::Null, || nobody(&read, &of_run));
        return Ok(Exit::Done);
    };
    let has_terminal = first.worker.session.as_ref().is_some_and(|session| session.kind != "subprocess");
    let here = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if has_terminal && here && !args.print && !output.json {
        return attach::to(&read, first.worker, false, output);
    }
    let more = waiting.len() - 1;
    output.result(|| first.json(&of_run, more), || first.text(&of_run, (has_terminal, more)));
    Ok(Exit::Done)
}

fn waiting(read: &Read) -> Vec<Waiting<'_>> {
    let one = |task| {
        let task: &TaskView = task;
        let worker = read.view.worker(task.worker.as_deref()?)?;
        let asks = task.question.as_ref().map(|question| question.text.clone());
        let lost = task.phase.is_held() && worker.lost;
        let since_ms = task.question.as_ref().map_or(worker.since.wall_ms, |asks| asks.since.wall_ms);
        (asks.is_some() || lost).then_some(Waiting { task, worker, asks, since_ms })
    };
    read.view.tasks.iter().filter_map(one).collect()
}

/// That no worker waits, and which approvals do.
fn nobody(read: &Read, of_run: &str) -> String {
    let approvals = read.view.tasks.iter().any(|task| task.asks.is_some());
    let first =
        if approvals { "No worker asks, but an approval waits:\n" } else { "No worker waits for you.\n" };
    let mut text = first.to_owned();
    for task in read.view.tasks.iter().filter(|task| task.asks.is_some()) {
        let (id, asks) = (&task.id, line(task.asks.as_deref().unwrap_or_default()));
        text.push_str(&format!("`{id}` waits for your approval: {asks}\n  {}\n", answers(id, of_run)));
    }
    text
}

impl Waiting<'_> {
    /// What to type to go there.
    fn attach(&self, of_run: &str) -> String {
        format!("ilchul attach {}{of_run}", self.worker.id)
    }

    /// What to type to let it go on.
    fn answer(&self, of_run: &str) -> String {
        let id = &self.task.id;
        match self.asks {
            Some(_) => respond(id, of_run),
            None => format!("ilchul decide {id} rerun|skip|accept{of_run}"),
        }
    }

    fn json(&self, of_run: &str, more: usize) -> Value {
        json!({
            "task": self.task.id,
            "worker": self.worker.id,
            "state": self.task.phase.word(),
            "question": self.asks,
            "since": time(self.since_ms),
            "session": self.worker.session.as_ref().map(|session| &session.kind),
            "attach": self.attach(of_run),
            "answer": self.answer(of_run),
            "more": more,
        })
    }

    fn text(&self, of_run: &str, (has_terminal, more): (bool, usize)) -> String {
        let worker = &self.worker.id;
        let what = self.asks.as_ref().map_or_else(
            || "was lost, and waits for your decision".to_owned(),
            |asks| format!("asks: {}", line(asks)),
        );
        let mut text = format!("`{worker}` {what}\nIt began to wait {}.\n", ago(wall_ms(), self.since_ms));
        // One without a terminal is answered only.
        if has_terminal {
            text.push_str(&format!("Look: {}\n", self.attach(of_run)));
        } else {
            text.push_str(&format!("Look: ilchul logs {}{of_run}\n", self.task.id));
        }
        text.push_str(&format!("Answer: {}\n", self.answer(of_run)));
        if more > 0 {
            text.push_str(&format!("{more} more wait; `ilchul status` has them all.\n"));
        }
        text
    }
}
