//! What a shell asks for when somebody presses Tab: commands, options, live tasks, workers, runs.
//!
//! The scripts of `ilchul completions` start this program with [`ASKED`] in its environment,
//! at every press. So it only looks: no lock, no home that is made, nothing on stderr, and on
//! any trouble no answer instead of an error. It leaves out those scripts (`completions.rs`).

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{Bash, EnvCompleter, Fish, Zsh};

use super::{Cli, docs, init, place, schema};
use crate::engine::task_table::TaskPhase;
use crate::engine::view::{RunView, TaskView, WorkerView};
use crate::engine::worker_table::WorkerPhase;
use crate::journal::Journal;
use crate::render::clean;
use crate::supervisor::fold::{self, Proof};

/// The variable that turns a call into a question of a shell's. Its value is the shell's name.
/// Not `COMPLETE`, clap's own name for it, which other programs' settings may have exported.
pub const ASKED: &str = "ILCHUL_COMPLETE";

/// The shells, by the name that asks for them.
pub const SHELLS: [(&str, &dyn EnvCompleter); 3] = [("bash", &Bash), ("zsh", &Zsh), ("fish", &Fish)];

/// Answers a question of `shell`'s about the words after `--`; the exit code.
#[must_use]
pub fn answer(shell: &OsStr, args: Vec<OsString>) -> i32 {
    // Whatever goes wrong would be printed into the line that somebody is typing.
    std::panic::set_hook(Box::new(|_| {}));
    let words: Vec<OsString> = args.into_iter().skip_while(|word| word != "--").skip(1).collect();
    let asked = SHELLS.iter().find(|(name, _)| shell == *name);
    let Some((_, shell)) = asked.filter(|_| !words.is_empty()) else { return 1 };
    let here = std::env::current_dir().ok();
    let mut found = Vec::new();
    let mut command = with_values(Cli::command(), &words);
    if shell.write_complete(&mut command, words, here.as_deref(), &mut found).is_err() {
        return 1;
    }
    i32::from(std::io::stdout().write_all(&found).is_err())
}

/// The tree of commands, in which arguments know their values by what their help calls them:
/// one place, so that a new command's `TASK` has its names without a word.
fn with_values(command: Command, words: &[OsString]) -> Command {
    command.mut_subcommands(|sub| {
        let name = sub.get_name().to_owned();
        sub.mut_args(|arg| with_value(arg, &name, words))
    })
}

fn with_value(arg: Arg, command: &str, words: &[OsString]) -> Arg {
    let shown = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let shown = shown.unwrap_or_else(|| arg.get_id().as_str().to_ascii_uppercase());
    let takes_value = arg.get_action().takes_values();
    let (command, asked) = (command.to_owned(), Asked::of(words));
    match (command.as_str(), shown.as_str()) {
        _ if !takes_value => arg,
        ("schema", "NAME") => arg.add(ArgValueCompleter::new(|typed: &OsStr| fixed(schema::names(), typed))),
        ("docs", "TOPIC") => arg.add(ArgValueCompleter::new(|typed: &OsStr| fixed(docs::names(), typed))),
        ("init", "NAME") => arg.add(ArgValueCompleter::new(|typed: &OsStr| fixed(init::names(), typed))),
        ("up", "TASK") => arg.add(ArgValueCompleter::new(move |typed: &OsStr| planned(&asked, typed))),
        (_, "RUN") => arg.add(ArgValueCompleter::new(move |typed: &OsStr| runs(&asked, typed))),
        (_, "TASK" | "WORKER" | "TASK|WORKER") => {
            let workers = shown != "TASK";
            let tasks = shown != "WORKER";
            arg.add(ArgValueCompleter::new(move |typed: &OsStr| {
                let of_view = |view: &RunView| named(view, &command, (tasks, workers), typed);
                asked.view().map(|view| of_view(&view)).unwrap_or_default()
            }))
        }
        _ => arg,
    }
}

/// What the words before the cursor say of where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    home: Option<OsString>,
    run: Option<String>,
    file: Option<OsString>,
}

impl Asked {
    fn of(words: &[OsString]) -> Self {
        let value = |flag: &str| {
            let with = format!("{flag}=");
            let joined =
                words.iter().filter_map(|word| word.to_str()?.strip_prefix(&with).map(OsString::from));
            let apart = words.windows(2).filter(|pair| pair[0] == flag).map(|pair| pair[1].clone());
            joined.chain(apart).last().filter(|value| !value.is_empty())
        };
        let home =
            value("--home").or_else(|| std::env::var_os("ILCHUL_HOME")).filter(|home| !home.is_empty());
        let run = value("--run").and_then(|run| run.into_string().ok());
        let is_file =
            |word: &&OsString| Path::new(word).extension().is_some_and(|end| end == "yaml" || end == "yml");
        Self { home, run, file: words.iter().rev().find(is_file).cloned() }
    }

    fn journal(&self) -> Option<(place::Place, Journal)> {
        let place = place::find(self.home.as_deref().map(Path::new)).ok()?;
        let journal = Journal::open_read(&place.home).ok()?;
        Some((place, journal))
    }

    fn view(&self) -> Option<RunView> {
        let (place, journal) = self.journal()?;
        let run = place.run_id(&journal, self.run.as_deref()).ok()?;
        let folded = fold::read(&journal, &place.home, &run, Proof::Since).ok()??;
        Some(RunView::from_state(folded.engine.into_state()))
    }
}

fn candidate(value: &str, help: &str, typed: &OsStr) -> Option<CompletionCandidate> {
    let fits = value.as_bytes().starts_with(typed.as_encoded_bytes());
    fits.then(|| CompletionCandidate::new(value).help(Some(clean(help).into())))
}

fn fixed(names: impl Iterator<Item = &'static str>, typed: &OsStr) -> Vec<CompletionCandidate> {
    names
        .filter(|name| name.as_bytes().starts_with(typed.as_encoded_bytes()))
        .map(CompletionCandidate::new)
        .collect()
}

/// The runs, the latest first.
fn runs(asked: &Asked, typed: &OsStr) -> Vec<CompletionCandidate> {
    let runs = asked.journal().and_then(|(_, journal)| journal.runs().ok()).unwrap_or_default();
    runs.iter().rev().filter_map(|run| candidate(&run.id, &run.path, typed)).collect()
}

/// The tasks of the file that `up` would take, which may have had no run yet.
fn planned(asked: &Asked, typed: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(here) = super::workflow_file::here() else { return Vec::new() };
    let path = super::workflow_file::locate(&here, asked.file.as_deref().map(Path::new));
    let loaded = crate::workflow::read(&path)
        .ok()
        .and_then(|bytes| crate::workflow::load(&path.to_string_lossy(), &bytes).ok());
    let tasks = loaded.map(|loaded| loaded.workflow.tasks).unwrap_or_default();
    tasks.iter().filter_map(|task| candidate(&task.id, task.word(), typed)).collect()
}

/// Tasks and workers that `command` can do something with; all of them where there is none such.
fn named(
    view: &RunView,
    command: &str,
    (tasks, workers): (bool, bool),
    typed: &OsStr,
) -> Vec<CompletionCandidate> {
    let of_task = |task: &TaskView| candidate(&task.id, &of(task), typed);
    let of_worker = |worker: &WorkerView| candidate(&worker.id, &worker.phase.to_string(), typed);
    let mut found: Vec<CompletionCandidate> = Vec::new();
    if tasks {
        found.extend(view.tasks.iter().filter(|task| suits(command, task)).filter_map(of_task));
        if found.is_empty() {
            found.extend(view.tasks.iter().filter_map(of_task));
        }
    }
    // Where both are meant, a task's name is the shorter word for its last worker.
    if workers && (!tasks || typed.as_encoded_bytes().contains(&b'.')) {
        let fits = |worker: &&WorkerView| worker_suits(command, worker);
        let suited: Vec<_> = view.workers.iter().filter(fits).filter_map(of_worker).collect();
        let any = || view.workers.iter().filter_map(of_worker).collect();
        found.extend(if suited.is_empty() { any() } else { suited });
    }
    found
}

fn of(task: &TaskView) -> String {
    match task.attempt {
        0 => task.phase.to_string(),
        attempt => format!("{}, attempt {attempt} of {}", task.phase, task.allowed),
    }
}

/// Whether a command is likely meant for a task in this state.
fn suits(command: &str, task: &TaskView) -> bool {
    match command {
        "retry" => task.phase.is_terminal(),
        "cancel" | "wait" => !task.phase.is_terminal(),
        "approve" | "deny" => task.asks.is_some(),
        "answer" => task.phase == TaskPhase::Blocked,
        "attach" | "logs" | "evidence" => task.attempt > 0,
        _ => true,
    }
}

fn worker_suits(command: &str, worker: &WorkerView) -> bool {
    match command {
        "release" => worker.phase == WorkerPhase::CompletedRetained,
        "retain" => worker.phase == WorkerPhase::SafeToClose,
        _ => true,
    }
}
