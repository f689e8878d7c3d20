//! The command line: arguments in, exit code out; one file per command.
//!
//! It leaves out how things are done (supervisor) and how they look (render).

mod act;
mod adopt;
mod agent_look;
mod agents;
mod answer;
mod ask;
mod attach;
mod away;
mod cancel;
mod choose;
mod claims;
mod cleanup;
mod close;
mod complete;
mod completions;
mod dash;
mod decide;
mod describe;
mod detach;
mod docs;
mod doctor;
mod down;
mod drive;
mod error;
mod events;
mod evidence;
mod exit_code;
mod export;
mod graph;
mod heartbeat;
mod hook;
mod hooks;
mod init;
mod logs;
mod man;
mod mcp;
mod metrics;
mod next;
mod notify;
mod output;
mod page;
mod place;
mod placed;
mod plan;
mod progress;
mod prompts;
mod question;
mod read;
mod record;
mod region;
mod release;
mod report;
mod request;
mod respond;
mod resumed;
mod retain;
mod retry;
mod runs;
mod schema;
mod session;
mod settings;
mod setup;
mod setup_plan;
mod start;
mod status;
mod status_line;
mod submit;
mod submit_line;
mod surroundings;
mod tmux_snippet;
mod trace;
mod unrecorded;
mod up;
mod validate;
mod wait;
mod waiting;
mod why;
mod worker_side;
mod workers;
mod workflow_file;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use exit_code::Exit;

use crate::render;
use error::CliError;
use output::Output;

/// Runs the tasks of a workflow in isolated workers, and completes them on evidence.
#[derive(Debug, Parser)]
#[command(
    name = "ilchul",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, Args, Clone)]
pub(crate) struct Global {
    /// The home, in place of `<parent>/<repo>.ilchul`.
    #[arg(long, global = true, value_name = "DIR", env = "ILCHUL_HOME")]
    home: Option<PathBuf>,
    /// Run it on this machine, by ssh; FOLDER is the checkout there. ILCHUL_HOST names one for all.
    #[arg(long, global = true, value_name = "NAME[:FOLDER]")]
    host: Option<String>,
    /// Print one JSON document.
    #[arg(long, global = true)]
    json: bool,
    /// When to colour.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first workflow.
    Init(init::InitArgs),
    /// Check a workflow file: every error at once.
    Validate(validate::ValidateArgs),
    /// Show what `up` would do; touches nothing.
    Plan(plan::PlanArgs),
    /// Check what ilchul needs on this machine.
    Doctor(doctor::DoctorArgs),
    /// List the kinds of agents, or explain one.
    Agents(agents::AgentsArgs),
    /// Print a JSON Schema.
    Schema(schema::SchemaArgs),
    /// Print a guide.
    Docs(docs::DocsArgs),
    /// Run a workflow, or go on with it.
    Up(up::UpArgs),
    /// End the supervisor and the live workers; what they made stays.
    Down(down::DownArgs),
    /// Wait for tasks, or for the run, to end.
    Wait(wait::WaitArgs),
    /// Show the run: tasks, workers, reasons.
    Status(status::StatusArgs),
    /// Watch the run and steer it, on the whole screen.
    Dash(dash::DashArgs),
    /// Show the workers, where they are and what they hold.
    Workers(workers::WorkersArgs),
    /// Explain a task's state.
    Why(why::WhyArgs),
    /// Print what a task's worker printed.
    Logs(logs::LogsArgs),
    /// Go to a worker's terminal.
    Attach(attach::AttachArgs),
    /// Go to the worker that has waited longest for you.
    Next(next::NextArgs),
    /// Show what was checked for a task, and what came out.
    Evidence(evidence::EvidenceArgs),
    /// Print the journal of a run.
    Events(events::EventsArgs),
    /// Draw a workflow, or the run with its states.
    Graph(graph::GraphArgs),
    /// Write the run as one HTML page that loads nothing.
    Page(page::PageArgs),
    /// List the runs of this repository.
    Runs(runs::RunsArgs),
    /// Export a run as an OpenTelemetry trace.
    Trace(trace::TraceArgs),
    /// Grant an ended task one more attempt.
    Retry(retry::RetryArgs),
    /// End a task.
    Cancel(cancel::CancelArgs),
    /// Answer what a task's worker asks.
    Answer(respond::RespondArgs),
    /// Say yes to what a task waits for.
    Approve(answer::ApproveArgs),
    /// Say no to what a task waits for.
    Deny(answer::AnswerArgs),
    /// Decide what can't be known of an attempt.
    Decide(decide::DecideArgs),
    /// Mark a retained worker as safe to close.
    Release(release::ReleaseArgs),
    /// Take that mark back.
    Retain(retain::RetainArgs),
    /// Close the workers that are safe to close; prints what you may remove, removes nothing.
    Cleanup(cleanup::CleanupArgs),
    /// Write a worker's report, or check one.
    Report(report::ReportArgs),
    /// Add tasks to the run, from inside a worker: all of them or none.
    Submit(submit::SubmitArgs),
    /// Leave a note for a worker's next heartbeat.
    Heartbeat(heartbeat::HeartbeatArgs),
    /// Print what makes a shell complete names with Tab.
    Completions(completions::CompletionsArgs),
    /// Write the manual pages.
    Man(man::ManArgs),
    /// Print lines for a tmux configuration: a status segment, keys.
    TmuxSnippet(tmux_snippet::SnippetArgs),
    /// Offer the worker's side as tools to an agent, on standard input and output.
    Mcp(mcp::McpArgs),
    /// Tell a worker's shim what happened in its agent; for the agent's own hooks.
    Hook(hook::HookArgs),
}

/// The binary's whole life but for the process exit: arguments in, exit code out.
#[must_use]
pub fn main(args: Vec<OsString>) -> i32 {
    if args.get(1).is_some_and(|word| word == "shim") {
        return crate::shim::main(&args[2..]);
    }
    let asks_for_help = || args.iter().any(|word| word == "--help" || word == "-h");
    if args.get(1).is_some_and(|word| word == "hook") && !asks_for_help() {
        // An agent waits for its hooks: nothing else is looked at first.
        hook::run_words(&args[2..]);
        return 0;
    }
    if let Some(shell) = std::env::var_os(complete::ASKED) {
        return complete::answer(&shell, args);
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; everything else is usage.
            let words = error.render().to_string();
            if words == render::clean(&words) {
                let _ = error.print();
            } else {
                // Somebody's argument stands in it, which may have come from anywhere.
                output::talk(words.trim_end());
            }
            return error.exit_code();
        }
    };
    crate::supervisor::signals::see_children();
    let output = Output::new(cli.global.json, cli.global.color);
    trace();
    let done = away::run(&cli, output).unwrap_or_else(|| run(&cli, output).map(Exit::code));
    match done {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            error.exit.code()
        }
    }
}

/// Sends what only developers of ilchul read to stderr: errors, and what `ILCHUL_TRACE` asks for.
fn trace() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("ILCHUL_TRACE").unwrap_or_else(|_| EnvFilter::new("error"));
    // A subscriber that is there already is a test's.
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // On a terminal that is gone it would complain about itself there, which is a panic.
    let _ = lines.log_internal_errors(false).try_init();
}

fn run(cli: &Cli, output: Output) -> Result<Exit, CliError> {
    match &cli.command {
        Command::Init(args) => init::run(&cli.global, args, output),
        Command::Validate(args) => validate::run(&cli.global, args, output),
        Command::Plan(args) => plan::run(&cli.global, args, output),
        Command::Doctor(args) => doctor::run(&cli.global, args, output),
        Command::Agents(args) => agents::run(&cli.global, args, output),
        Command::Schema(args) => schema::run(&cli.global, args, output),
        Command::Docs(args) => docs::run(&cli.global, args, output),
        Command::Up(args) => trace::after(&cli.global, args, || up::run(&cli.global, args, output)),
        Command::Down(args) => down::run(&cli.global, args, output),
        Command::Wait(args) => wait::run(&cli.global, args, output),
        Command::Status(args) => status::run(&cli.global, args, output),
        Command::Dash(args) => dash::run(&cli.global, args, output),
        Command::Workers(args) => workers::run(&cli.global, args, output),
        Command::Why(args) => why::run(&cli.global, args, output),
        Command::Logs(args) => logs::run(&cli.global, args, output),
        Command::Attach(args) => attach::run(&cli.global, args, output),
        Command::Next(args) => next::run(&cli.global, args, output),
        Command::Evidence(args) => evidence::run(&cli.global, args, output),
        Command::Events(args) => events::run(&cli.global, args, output),
        Command::Graph(args) => graph::run(&cli.global, args, output),
        Command::Page(args) => page::run(&cli.global, args, output),
        Command::Runs(args) => runs::run(&cli.global, args, output),
        Command::Trace(args) => trace::run(&cli.global, args, output),
        Command::Retry(args) => retry::run(&cli.global, args, output),
        Command::Cancel(args) => cancel::run(&cli.global, args, output),
        Command::Answer(args) => respond::run(&cli.global, args, output),
        Command::Approve(args) => answer::approve(&cli.global, args, output),
        Command::Deny(args) => answer::deny(&cli.global, args, output),
        Command::Decide(args) => decide::run(&cli.global, args, output),
        Command::Release(args) => release::run(&cli.global, args, output),
        Command::Retain(args) => retain::run(&cli.global, args, output),
        Command::Cleanup(args) => cleanup::run(&cli.global, args, output),
        Command::Report(args) => report::run(&cli.global, args, output),
        Command::Submit(args) => submit::run(&cli.global, args, output),
        Command::Heartbeat(args) => heartbeat::run(&cli.global, args, output),
        Command::Completions(args) => completions::run(&cli.global, args, output),
        Command::Man(args) => man::run(&cli.global, args, output),
        Command::TmuxSnippet(args) => tmux_snippet::run(&cli.global, args, output),
        Command::Mcp(args) => mcp::run(&cli.global, args, output),
        Command::Hook(args) => {
            hook::run(args);
            Ok(Exit::Done)
        }
    }
}
