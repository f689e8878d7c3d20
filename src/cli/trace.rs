//! `ilchul trace`: a run as one OpenTelemetry trace, to a file or to a collector.
//!
//! A file holds one document a line, as the collectors' own file exporter writes it. The one
//! place in ilchul that speaks to a network, and only to the address that was named. It leaves
//! out the spans (`render/otel`).

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::error::CliError;
use super::exit_code::Exit;
use super::output::{self, Output};
use super::read::{self, Follower, OfRun};
use super::{Global, up::UpArgs};
use crate::render::{otel, words};

/// How long a collector may take for one document.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where collectors take traces, under a base address.
const TRACES: &str = "/v1/traces";
/// The most that is repeated of a collector's refusal, in bytes.
const SAID_MAX: usize = 300;

/// How it is used.
const HELP: &str = "\
FILE gets one JSON document a line; it is replaced. URL is a collector's: with no path,
`/v1/traces` is added. Only plain `http://` is spoken, for a collector on this machine or in
this network. Exporting a run again makes the same trace, with the same ids.";

/// Arguments of `trace`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct TraceArgs {
    /// Where to: a file, or a collector's address. Without it, stdout.
    #[arg(long, value_name = "FILE|URL")]
    otel: Option<String>,
    #[command(flatten)]
    of: OfRun,
}

/// Runs it.
///
/// # Errors
/// When there is no run, the journal is damaged, or the file or the collector refuses.
pub fn run(global: &Global, args: &TraceArgs, output: Output) -> Result<Exit, CliError> {
    let (_, journal, run) = read::target(global, &args.of)?;
    let recorded = Follower::new(journal, run.clone()).poll()?;
    let documents = otel::documents(recorded.iter().map(|row| (row.at, &row.event)));
    let Some(to) = &args.otel else {
        let lines: String = documents.iter().map(|document| format!("{document}\n")).collect();
        output.result(|| documents.into(), || lines);
        return Ok(Exit::Done);
    };
    send(&documents, to)?;
    let (count, trace) = (otel::count(&documents), otel::trace_id(&run));
    output.result(
        || json!({"run": run, "trace_id": trace, "spans": count, "to": to}),
        || format!("{} of the run {run} are in {to}, as the trace {trace}.\n", words::count(count, "span")),
    );
    Ok(Exit::Done)
}

/// Does what `up` does, and then exports the run that it was about, however it ended. What can't
/// be exported is told, and changes nothing about the run's own outcome.
///
/// # Errors
/// Those of `up`.
pub fn after(
    global: &Global,
    args: &UpArgs,
    up: impl FnOnce() -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let Some(to) = args.otel.as_ref().filter(|_| !args.detach) else { return up() };
    check(to)?;
    let exit = up();
    if matches!(exit, Ok(Exit::Done | Exit::Failed | Exit::Interrupted))
        && let Err(error) = export_last(global, args, to)
    {
        output::talk(&format!("The trace wasn't exported: failed to {}.", error.message));
    }
    exit
}

fn export_last(global: &Global, args: &UpArgs, to: &str) -> Result<(), CliError> {
    let (place, journal, _) = read::target(global, &OfRun { run: None })?;
    let path = super::workflow_file::locate(&super::workflow_file::here()?, args.file.as_deref());
    let identity = super::workflow_file::identity(&path, place.repository.main_checkout());
    let last = journal.runs()?.into_iter().rev().find(|run| run.path == identity);
    let Some(last) = last else { return Ok(()) };
    let recorded = Follower::new(journal, last.id).poll()?;
    send(&otel::documents(recorded.iter().map(|row| (row.at, &row.event))), to)
}

/// Whether a destination is an address; anything else is a file.
fn is_url(to: &str) -> bool {
    to.contains("://")
}

/// What is wrong with a destination can be said before a run of hours.
fn check(to: &str) -> Result<(), CliError> {
    if !is_url(to) || to.starts_with("http://") {
        return Ok(());
    }
    let message = format!("export to `{}`: only plain `http://` is spoken", to.escape_debug());
    Err(CliError::new("otel", message)
        .hint("Name a collector in this network, which speaks TLS to others, or a file."))
}

fn send(documents: &[Value], to: &str) -> Result<(), CliError> {
    check(to)?;
    if is_url(to) {
        documents.iter().try_for_each(|document| post(document, &address(to)))
    } else {
        write(documents, to)
    }
}

/// The address for traces: as it is written, or below a base.
fn address(url: &str) -> String {
    let (_, host) = url.split_once("://").unwrap_or_default();
    match host.split_once('/') {
        None => format!("{url}{TRACES}"),
        Some((_, "")) => format!("{}{TRACES}", url.trim_end_matches('/')),
        Some(_) => url.to_owned(),
    }
}

fn write(documents: &[Value], to: &str) -> Result<(), CliError> {
    let lines: String = documents.iter().map(|document| format!("{document}\n")).collect();
    let path = Path::new(to);
    replace(path, lines.as_bytes())
        .map_err(|error| CliError::new("otel", format!("write the trace to `{}`: {error}", path.display())))
}

/// Writes a whole file or none: its reader may come at any time.
///
/// # Errors
/// What the system says.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".ilchul-")
        // Whoever collects it may be another user; it is asked for, and no part of the home.
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn post(document: &Value, url: &str) -> Result<(), CliError> {
    let fail = |why: String| {
        CliError::new("otel", format!("export to `{}`: {}", url.escape_debug(), crate::render::clean(&why)))
            .hint("See that a collector takes OTLP over HTTP as JSON there, or name a file.")
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        // The address that was named, and no other: neither by a variable nor by its answer.
        .proxy(None)
        .max_redirects(0)
        .build()
        .into();
    let sent = agent.post(url).header("Content-Type", "application/json").send(document.to_string());
    let mut answer = sent.map_err(|error| fail(error.to_string()))?;
    if answer.status().is_success() {
        return Ok(());
    }
    let said = answer.body_mut().with_config().limit(64 << 10).read_to_string().unwrap_or_default();
    let said: String = said.chars().take(SAID_MAX).collect();
    Err(fail(format!("it answered {}: {}", answer.status(), said.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_path_gets_the_one_of_traces() {
        assert_eq!(address("http://c:4318"), "http://c:4318/v1/traces");
        assert_eq!(address("http://c:4318/"), "http://c:4318/v1/traces");
        assert_eq!(address("http://c/otlp/v1/traces"), "http://c/otlp/v1/traces");
    }

    #[test]
    fn only_plain_http_is_an_address_and_the_rest_are_files() {
        assert!(check("trace.json").is_ok() && check("http://localhost:4318").is_ok());
        let error = check("https://example.org").unwrap_err();
        assert_eq!(error.message, "export to `https://example.org`: only plain `http://` is spoken");
        assert!(check("grpc://x").is_err());
    }

    #[test]
    fn a_file_is_replaced_whole_and_left_where_it_can_t_be() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace.json");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(replace(&folder.path().join("no/such/file"), b"").is_err());
    }
}
