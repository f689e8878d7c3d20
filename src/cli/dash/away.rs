//! What happens away from the screen: decisions that are sent, and terminals that are visited.

use std::process::Stdio;

use super::super::error::CliError;
use super::super::read::Read;
use super::super::{Global, act, answer, attach, request};
use super::news::{News, Post};
use super::terminal::Terminal;
use crate::dash::Act;
use crate::engine::input::{Answer, Choice, Request};

/// Sends a decision that was confirmed; its answer comes as news, because a supervisor may
/// take its time.
pub(super) fn decide(global: &Global, run: &str, (act, task): (Act, String), post: &Post) {
    let (global, run) = (global.clone(), run.to_owned());
    told(post, move || Ok(done(act, &task, send(&global, &run, act, &task)?)));
}

/// Sends what a person says to the worker of a task that asked; the same way.
pub(super) fn reply(global: &Global, run: &str, (task, text): (String, String), post: &Post) {
    let (global, run) = (global.clone(), run.to_owned());
    told(post, move || {
        answer::outside_of_workers("answer", &format!("`{task}`"))?;
        let (place, run) = act::target(&global, Some(&run))?;
        let request = Request::Respond { task: task.clone(), text, who: answer::login() };
        let supervised = request::send(&place, &run, &request)?.supervised;
        Ok(finished(&task, "is answered, and goes on", supervised))
    });
}

/// Does it beside the screen, and tells what came of it.
fn told(post: &Post, done: impl FnOnce() -> Result<String, CliError> + Send + 'static) {
    let post = post.clone();
    std::thread::spawn(move || {
        let (words, granted) = match done() {
            Ok(words) => (words, true),
            Err(error) => {
                let message = error.message.trim_end_matches('.');
                (format!("Failed to {message}. {}", error.hint), false)
            }
        };
        post.send(News::Decided(words, granted));
    });
}

/// The same requests as the commands send; whether a supervisor acts on it now.
fn send(global: &Global, run: &str, act: Act, task: &str) -> Result<bool, CliError> {
    let answered = |yes| Answer { yes, who: answer::login(), reason: None };
    let named = task.to_owned();
    let request = match act {
        Act::Cancel => Request::Cancel { task: named },
        Act::Retry => Request::Retry { task: named },
        Act::Approve => Request::Answer { task: named, answer: answered(true) },
        Act::Deny => Request::Answer { task: named, answer: answered(false) },
        Act::Rerun => Request::Decide { task: named, choice: Choice::Rerun },
        Act::Skip => Request::Decide { task: named, choice: Choice::Skip },
        Act::Accept => Request::Decide { task: named, choice: Choice::Accept },
    };
    match act {
        Act::Approve => answer::outside_of_workers("approve", &format!("`{task}`"))?,
        Act::Deny => answer::outside_of_workers("deny", &format!("`{task}`"))?,
        Act::Cancel | Act::Retry | Act::Rerun | Act::Skip | Act::Accept => {}
    }
    let (place, run) = act::target(global, Some(run))?;
    Ok(request::send(&place, &run, &request)?.supervised)
}

fn done(act: Act, task: &str, supervised: bool) -> String {
    let what = match act {
        Act::Cancel => "is cancelled",
        Act::Retry => "is ready for one more attempt",
        Act::Approve => "is approved",
        Act::Deny => "is denied",
        Act::Rerun => "will be tried again",
        Act::Skip => "is left out",
        Act::Accept => "is checked as if it had reported done",
    };
    finished(task, what, supervised)
}

fn finished(task: &str, what: &str, supervised: bool) -> String {
    let next = if supervised { "" } else { " No supervisor works: `ilchul up` goes on." };
    format!("`{task}` {what}.{next}")
}

/// Shows a worker's terminal, and comes back; what to tell then.
///
/// # Errors
/// When it has no terminal, none any more, or ours can't be taken again.
pub(super) fn attach(read: &Read, worker: &str, terminal: &mut Terminal) -> Result<String, CliError> {
    let way = attach::way(read, read.worker(worker, None)?)?;
    let unknown = || CliError::new("no_session", format!("attach to `{worker}`: its substrate knows no way"));
    let mut command = way.command().ok_or_else(unknown)?;
    let failed = |error: std::io::Error| CliError::new("tmux", format!("run tmux: {error}"));
    if way.inside {
        // This client only turns to another window; the dashboard stays in its own.
        let output = command.stdin(Stdio::null()).output().map_err(failed)?;
        said(worker, output.status.success(), &output.stderr)?;
        return Ok(format!("tmux shows `{worker}` now; its key for the last session (prefix L) comes back."));
    }
    terminal.leave();
    let output = command.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::piped()).spawn();
    let output = output.and_then(std::process::Child::wait_with_output);
    terminal
        .enter()
        .map_err(|error| CliError::new("terminal", format!("take the terminal again: {error}")))?;
    let output = output.map_err(failed)?;
    said(worker, output.status.success(), &output.stderr)?;
    Ok(format!("Back from `{worker}`."))
}

fn said(worker: &str, success: bool, stderr: &[u8]) -> Result<(), CliError> {
    if success {
        return Ok(());
    }
    let said = String::from_utf8_lossy(stderr);
    Err(CliError::new("tmux", format!("attach to `{worker}`: tmux says: {}", said.trim())))
}
