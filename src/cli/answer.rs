//! `ilchul approve` and `ilchul deny`: a person's answer to the approval that a task waits for.
//!
//! It leaves out whether anybody is asked: whoever decides on requests knows that.

use clap::Args;
use nix::unistd::{Uid, User};

use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::{Global, act, hooks};
use crate::engine::input::{Answer, Request};

/// Arguments of `deny`, and of `approve` for a task.
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

/// Arguments of `approve`.
#[derive(Debug, Args, Clone)]
pub struct ApproveArgs {
    /// A task that waits for an approval; with `--hooks` the workflow file.
    #[arg(required_unless_present = "hooks")]
    task: Option<String>,
    /// Why, in your words; journaled and shown.
    #[arg(long, value_name = "TEXT", conflicts_with = "hooks")]
    reason: Option<String>,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN", conflicts_with = "hooks")]
    run: Option<String>,
    /// Approve what the repository would run or copy by itself, before tasks: its setup.
    #[arg(long)]
    hooks: bool,
    /// With `--hooks`: don't ask.
    #[arg(long, requires = "hooks")]
    yes: bool,
}

impl ApproveArgs {
    /// Whether it asks at a terminal.
    pub(super) fn asks(&self) -> bool {
        self.hooks && !self.yes
    }
}

/// Runs `approve`.
///
/// # Errors
/// When it is refused, or nobody can decide it.
pub fn approve(global: &Global, args: &ApproveArgs, output: Output) -> Result<Exit, CliError> {
    let task = args.task.clone();
    if args.hooks {
        outside_of_workers("approve", "what the repository would run")?;
        return hooks::approve(global, (task.as_deref(), args.yes), &login(), output);
    }
    let answered =
        AnswerArgs { task: task.unwrap_or_default(), reason: args.reason.clone(), run: args.run.clone() };
    answer(global, &answered, (true, "approve"), output)
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
    outside_of_workers(verb, &format!("`{task}`"))?;
    let (place, run) = act::target(global, args.run.as_deref())?;
    let answer = Answer { yes, who: login(), reason: args.reason.clone() };
    let request = Request::Answer { task: args.task.clone(), answer };
    let done = format!("`{task}` is {}.", if yes { "approved" } else { "denied" });
    act::act((&place, &run), &request, &done, output)
}

/// No wall: a worker runs as its user. But what an agent types by itself is no person's word.
pub(super) fn outside_of_workers(verb: &str, what: &str) -> Result<(), CliError> {
    if std::env::var_os("ILCHUL_WORKER").is_none_or(|worker| worker.is_empty()) {
        return Ok(());
    }
    let message = format!("{verb} {what}: a worker can't answer for a person");
    Err(CliError::new("inside_worker", message)
        .hint("Run it in a shell of your own, not in a worker's session."))
}

/// The name of whoever runs this, from the system's own list and not from the environment.
pub(super) fn login() -> String {
    let uid = Uid::current();
    User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name)
}
