//! `ilchul agents`: which kinds of agents there are, and how one is launched and heard.
//!
//! It asks their programs for a version and does nothing else. Whether a login holds only the
//! agent itself can say.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::agent_look::{self, Look};
use super::error::CliError;
use super::exit_code::Exit;
use super::output::Output;
use super::{Global, read, settings};
use crate::render;
use crate::render::table::{Table, Tone};
use crate::workflow::{Adapter, COMMAND, Catalogue, Health, Launch};

/// Arguments of `agents`.
#[derive(Debug, Args)]
pub struct AgentsArgs {
    /// Explain this one.
    name: Option<String>,
}

/// Runs it.
///
/// # Errors
/// Settings that can't be used; a name that no agent has.
pub fn run(_global: &Global, args: &AgentsArgs, output: Output) -> Result<Exit, CliError> {
    let catalogue = settings::load()?.agents;
    let Some(name) = &args.name else {
        let found = all(&catalogue);
        output.result(
            || found.iter().map(|(one, look)| short_json(&catalogue, one, look)).collect(),
            || list(&catalogue, &found, output),
        );
        return Ok(Exit::Done);
    };
    if name == COMMAND {
        output
            .result(|| json!({"name": COMMAND, "about": ANY}), || format!("{COMMAND}: {ANY}.\n\n{ANY_USE}"));
        return Ok(Exit::Done);
    }
    let Some(adapter) = catalogue.get(name) else {
        let names = catalogue.names().join(", ");
        return Err(CliError::new("unknown_agent", format!("find the agent `{}`", name.escape_debug()))
            .hint(format!("There are {names} and {COMMAND}.")));
    };
    let look = agent_look::look(&adapter);
    output.result(|| whole_json(&catalogue, &adapter, &look), || render::clean(&explain(&adapter, &look)));
    Ok(Exit::Done)
}

/// What `command` is.
const ANY: &str = "any program that you name";
const ANY_USE: &str = "agents: { mine: { adapter: command, argv: [./my-agent] } }\n\
    It finds what it is asked in the file that ILCHUL_PROMPT_FILE names, and reports with `ilchul report`.\n\
    It counts as ready when it was started, and gets further while it prints or uses the processor.\n";

/// Every adapter with what was found of it.
fn all(catalogue: &Catalogue) -> Vec<(Adapter, Look)> {
    let adapters: Vec<Adapter> = catalogue.names().iter().filter_map(|name| catalogue.get(name)).collect();
    let looks = agent_look::look_at(&adapters.iter().collect::<Vec<_>>());
    adapters.into_iter().zip(looks).collect()
}

/// Whose definition it is.
fn source(catalogue: &Catalogue, adapter: &Adapter) -> &'static str {
    if catalogue.own.contains_key(&adapter.name) { "settings" } else { "built-in" }
}

fn modes(adapter: &Adapter) -> Vec<&'static str> {
    let terminal = adapter.terminal.as_ref().map(|_| "terminal");
    std::iter::once("headless").chain(terminal).collect()
}

/// What of its version is known, in a word.
fn tried(adapter: &Adapter, look: &Look) -> (String, Tone) {
    match (&look.program, look.verified) {
        (None, _) => ("not installed".to_owned(), Tone::Dim),
        (Some(_), true) => ("tried".to_owned(), Tone::Good),
        (Some(_), false) if adapter.verified.is_empty() => ("untried".to_owned(), Tone::Warn),
        (Some(_), false) => (format!("untried ({} was)", adapter.verified.join(", ")), Tone::Warn),
    }
}

fn health(adapter: &Adapter) -> String {
    adapter.health.iter().map(|health| health.word()).collect::<Vec<_>>().join(", ")
}

fn list(catalogue: &Catalogue, found: &[(Adapter, Look)], output: Output) -> String {
    let head = ["AGENT", "FROM", "VERSION", "STATE", "MODES", "HEARD BY", "PROGRAM"];
    let mut table = Table::new(read::screen(output), &head);
    for (adapter, look) in found {
        let (state, tone) = tried(adapter, look);
        let program = look.program.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let cells = [
            adapter.name.clone(),
            source(catalogue, adapter).to_owned(),
            look.version.clone().unwrap_or_default(),
            state,
            modes(adapter).join(", "),
            health(adapter),
            program,
        ];
        table.row(cells.iter().map(|cell| render::clean(cell)).collect(), 3, tone);
    }
    let any = [COMMAND, "built-in", "", "", "headless", "output", ANY];
    table.row(any.iter().map(|cell| (*cell).to_owned()).collect(), 3, Tone::Plain);
    format!("{}\nRun `ilchul agents NAME` to see how one is launched.\n", table.text())
}

fn short_json(catalogue: &Catalogue, adapter: &Adapter, look: &Look) -> Value {
    json!({
        "name": adapter.name,
        "about": adapter.about,
        "from": source(catalogue, adapter),
        "program": look.program,
        "version": look.version,
        "tried": look.verified,
        "trouble": look.trouble,
        "verified": adapter.verified,
        "modes": modes(adapter),
        "heard_by": adapter.health,
        "hooks": hooks(adapter),
    })
}

/// Whether it tells what it is at by hooks of its own.
fn hooks(adapter: &Adapter) -> bool {
    adapter.health.contains(&Health::Events)
}

fn whole_json(catalogue: &Catalogue, adapter: &Adapter, look: &Look) -> Value {
    let mut value = short_json(catalogue, adapter, look);
    value["definition"] = json!(adapter);
    value["notes"] = json!(adapter.notes);
    value["passed"] =
        adapter.pass.iter().map(|name| json!({"name": name, "set": is_set(name)})).collect::<Value>();
    value
}

/// Whether a variable is there. Its value is nobody's business.
pub(super) fn is_set(name: &str) -> bool {
    std::env::vars_os().any(|(known, value)| known == name && !value.is_empty())
}

fn explain(adapter: &Adapter, look: &Look) -> String {
    let mut text = format!("{}: {}\n\n", adapter.name, adapter.about);
    let mut add = |name: &str, words: String| {
        // A `String` takes every write.
        let _ = writeln!(text, "{name:<14}{}", words.replace('\n', &format!("\n{:14}", "")));
    };
    let (state, _) = tried(adapter, look);
    let program = match (&look.program, &look.version) {
        (None, _) => format!("{} (install: {})", look.trouble.clone().unwrap_or_default(), adapter.install),
        (Some(path), Some(version)) => format!("{}, version {version}, {state}", path.display()),
        (Some(path), None) => {
            format!("{}; {}", path.display(), look.trouble.clone().unwrap_or_default())
        }
    };
    add("Program", program);
    if !adapter.login.is_empty() {
        add("Login", adapter.login.clone());
    }
    launch(&mut add, "Headless", &adapter.headless);
    if let Some(terminal) = &adapter.terminal {
        launch(&mut add, "Terminal", terminal);
    }
    let plain = if adapter.oneshot.is_empty() { &adapter.headless.argv } else { &adapter.oneshot };
    add("Untried", format!("{}\n(a version that nobody tried: once, without hooks)", line(plain)));
    for (level, args) in &adapter.access {
        let held = if adapter.confines.contains(level) { "" } else { " (nothing holds it to that)" };
        let words = if args.is_empty() { "no arguments".to_owned() } else { line(args) };
        add("{access}", format!("{}{held}: {words}", level.word()));
    }
    if !adapter.model.is_empty() {
        add("{model_args}", line(&adapter.model));
    }
    if !adapter.inject.is_empty() {
        add("{inject}", line(&adapter.inject));
    }
    for name in adapter.files.keys() {
        add("Writes", format!("{name} into its own folder beside its mail, and nothing anywhere else"));
    }
    for (name, value) in &adapter.env {
        add("Sets", format!("{name}={value}"));
    }
    let passed = adapter.pass.iter();
    let passed: Vec<String> =
        passed.map(|name| format!("{name}{}", if is_set(name) { " (set)" } else { "" })).collect();
    if !passed.is_empty() {
        add("Passes on", passed.join(", "));
    }
    heard(&mut add, adapter);
    for note in &adapter.notes {
        add("Note", note.clone());
    }
    text
}

fn launch(add: &mut impl FnMut(&str, String), name: &str, launch: &Launch) {
    add(name, line(&launch.argv));
    if !launch.resume.is_empty() {
        add("  again", line(&launch.resume));
    }
}

/// What it is heard by.
fn heard(add: &mut impl FnMut(&str, String), adapter: &Adapter) {
    let seconds = |ms: u64| ms / 1000;
    let ready = match adapter.ready {
        crate::protocol::AgentReady::Process => "when it was started".to_owned(),
        crate::protocol::AgentReady::Output => "at its first output".to_owned(),
        crate::protocol::AgentReady::Event if adapter.signals.ready.is_empty() => {
            "when its result file changes".to_owned()
        }
        crate::protocol::AgentReady::Event => format!("at {}", adapter.signals.ready.join(", ")),
    };
    add("Ready", format!("{ready}, within {} s", seconds(adapter.ready_ms)));
    add("Health", health(adapter));
    let signals = &adapter.signals;
    for (name, list) in [
        ("Progress", &signals.progress),
        ("Tool begins", &signals.tool_open),
        ("Tool ends", &signals.tool_close),
        ("Asks", &signals.needs_input),
        ("Turn ends", &signals.turn_end),
        ("Turn fails", &signals.turn_failed),
        ("Limited", &signals.limited),
    ] {
        if !list.is_empty() {
            add(name, list.join(", "));
        }
    }
    if !adapter.limits.phrases.is_empty() {
        let phrases: Vec<String> =
            adapter.limits.phrases.iter().map(|phrase| format!("\"{phrase}\"")).collect();
        let wait = seconds(adapter.limits.default_ms);
        add(
            "Rate limit",
            format!("an error with {}; waits {wait} s where it names no time", phrases.join(", ")),
        );
    }
}

/// A command line as one would type it, placeholders left in.
fn line(argv: &[String]) -> String {
    let word = |word: &String| shlex::try_quote(word).map(|quoted| quoted.into_owned()).unwrap_or_default();
    let plain = |text: &String| !text.contains([' ', '"', '\'', '[', '(', '=', '*', '$']);
    argv.iter().map(|text| if plain(text) { text.clone() } else { word(text) }).collect::<Vec<_>>().join(" ")
}
