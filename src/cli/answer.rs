//! `ilchul approve` and `ilchul deny`: a person's answer to the approval that a task waits for.
//!
//! It leaves out whether anybody is asked: whoever decides on requests knows that.

use clap::Args;
use nix::unistd::{Uid, User};

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::{Global, act};
use crate::engine::input::{Answer, Request};

/// Arguments of `approve` and `deny`.
#[derive(Debug, Args, Clone)]
pub struct AnswerArgs {
    /// A task that waits for an approval; `ilchul status` names it.
    task: String,
    /// Why, in your words; journaled and shown.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Runs `approve`.
///
/// # Errors
/// When it is refused, or nobody can decide it.
pub fn approve(global: &Global, args: &AnswerArgs, output: Output) -> Result<Exit, CliError> {
    answer(global, args, (true, "approve"), output)
}

/// Runs `deny`.
///
/// # Errors
/// When it is refused, or nobody can decide it.
pub fn deny(global: &Global, args: &AnswerArgs, output: Output) -> Result<Exit, CliError> {
    answer(global, args, (false, "deny"), output)
}

fn answer(
    global: &Global,
    args: &AnswerArgs,
    (yes, verb): (bool, &str),
    output: Output,
) -> Result<Exit, CliError> {
    let task = args.task.escape_debug();
    // No wall: a worker runs as its user. But what an agent types by itself is no person's word.
    if std::env::var_os("ILCHUL_WORKER").is_some_and(|worker| !worker.is_empty()) {
        return Err(CliError::new(
            "inside_worker",
            format!("{verb} `{task}`: a worker can't answer for a person"),
        )
        .hint("Run it in a shell of your own, not in a worker's session."));
    }
    let (place, run) = act::target(global, args.run.as_deref())?;
    let answer = Answer { yes, who: login(), reason: args.reason.clone() };
    let request = Request::Answer { task: args.task.clone(), answer };
    let done = format!("`{task}` is {}.", if yes { "approved" } else { "denied" });
    act::act((&place, &run), &request, &done, output)
}

/// The name of whoever runs this, from the system's own list and not from the environment.
fn login() -> String {
    let uid = Uid::current();
    User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name)
}
