//! `ilchul release`: mark a retained worker as safe to close, with reasons, or refuse.

use clap::Args;

use super::close::Closing;
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::read::OfRun;
use super::{Global, act, request};
use crate::engine::close::{self, CloseVerdict, Held, Kept, Looked, Tree};
use crate::engine::input::Request;
use crate::engine::view::WorkerView;
use crate::engine::worker_table::WorkerPhase;
use crate::render::close::clause;
use crate::render::words::list;
use crate::supervisor::close::keep;

/// Arguments of `release`.
#[derive(Debug, Args, Clone)]
pub struct ReleaseArgs {
    /// A worker, as `<task>.<attempt>`.
    worker: String,
    /// The run; the latest by default. The beginning of its id is enough.
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
}

/// Runs it.
///
/// # Errors
/// When it is refused, or nobody can decide it.
pub fn run(global: &Global, args: &ReleaseArgs, output: Output) -> Result<Exit, CliError> {
    let (place, run) = act::target(global, args.run.as_deref())?;
    let closing = Closing::open(global, &OfRun { run: Some(run.clone()) })?;
    let observations = match observe(&closing, &args.worker) {
        Ok(observations) => observations,
        Err(refused) => {
            let (refusal, reasons) = *refused;
            // A mark that was given before holds no longer (law R4a).
            let marked = |worker: &WorkerView| worker.phase == WorkerPhase::SafeToClose;
            if closing.read.view.worker(&args.worker).is_some_and(marked) {
                request::send(&place, &run, &Request::Withdraw { worker: args.worker.clone(), reasons })?;
            }
            return Err(refusal);
        }
    };
    let done = format!(
        "`{}` is safe to close: {}. Nothing was removed; its worktree stays, locked.",
        args.worker,
        list(&observations)
    );
    let request = Request::Release { worker: args.worker.clone(), observations };
    act::act((&place, &run), &request, &done, output)
}

/// What is said of a refusal, and what was seen against it.
type Refused = Box<(CliError, Vec<String>)>;

/// What is looked at before a worker is called safe to close; anything that isn't known refuses.
fn observe(closing: &Closing, id: &str) -> Result<Vec<String>, Refused> {
    let look = || closing.look(|worker| worker.id == id && !worker.phase.is_live()).pop();
    // Whether there is such a worker, and whether it may be released, is the engine's to say.
    let Some((worker, mut looked)) = look() else { return Ok(Vec::new()) };
    if lacks_snapshot(&looked) {
        keep_now(closing, worker).map_err(|refusal| {
            let why = refusal.message.clone();
            Box::new((refusal, vec![why]))
        })?;
        looked = look().map_or(looked, |(_, looked)| looked);
    }
    let close = close::judge(&looked);
    let refusal = match close.verdict {
        CloseVerdict::Safe => return Ok(close.reasons),
        CloseVerdict::NotSafe => "it isn't",
        CloseVerdict::Unknown => "nobody can tell",
    };
    let message = format!("call `{id}` safe to close: {refusal}: {}", clause(&close));
    let against = close.reasons.get(..close.against).unwrap_or_default().to_vec();
    let refusal = CliError::new("not_safe", message)
        .hint("It stays as it is. `ilchul workers --close` shows every reason, and `ilchul workers` where its worktree is.")
        .details(serde_json::json!({"verdict": close.verdict.word(), "reasons": close.reasons}));
    Err(Box::new((refusal, against)))
}

/// Whether a snapshot of now would keep something that none keeps yet.
fn lacks_snapshot(looked: &Looked) -> bool {
    let lacks = |held: &Held| matches!(held.kept, Ok(Kept::Changed(_) | Kept::Missing));
    matches!(&looked.tree, Tree::There(held) if lacks(held))
}

fn keep_now(closing: &Closing, worker: &WorkerView) -> Result<(), CliError> {
    let place = &closing.read.place;
    keep(&place.repository, &closing.read.view.id, worker).map_err(|why| {
        CliError::new("not_safe", format!("keep what `{}` holds before it is released: {why}", worker.id))
            .hint("Nothing was changed. Look at its worktree: `ilchul workers` names it.")
    })
}
