//! One evidence command, run for the supervisor: `ilchul shim --check SPEC.json`.
//!
//! It outlives a supervisor that dies meanwhile: the lock on `SPEC.json.lock` says
//! that it lives, the result file that it is through, so a resumed supervisor
//! waits for it instead of running a second one beside it (E2). It leaves out the
//! verdict, and touches neither mail nor token.

use super::output::Log;
use super::relay::{self, Relay};
use super::signals::Signals;
use super::spawn::Program;
use super::tree::{End, Tree};
use super::{ShimError, clock, process, system};
use crate::mail;
use crate::protocol::{CheckOutcome, CheckSpec, Problem};
use nix::sys::signal::Signal;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest wait: a later deadline would be beyond the clock's range.
const MAX_WAIT: Duration = Duration::from_secs(30 * 86_400);
/// How long output is waited for after the tree's end.
const DRAIN_PATIENCE: Duration = Duration::from_millis(500);
/// The longest sleep of the loop; it is woken by whatever happens.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// Runs the command of a specification and writes its result.
pub(super) fn run(args: &[OsString]) -> Result<i32, ShimError> {
    let [path] = args else { return Err(ShimError::Usage("`--check` takes one file")) };
    let path = std::path::absolute(path).map_err(system("find the specification"))?;
    let signals = Signals::take()?;
    let _lock = lock(&path)?;
    let spec = read(&path)?;
    nix::sys::prctl::set_child_subreaper(true).map_err(system("adopt orphans"))?;
    nix::unistd::chdir(&spec.cwd).map_err(system("enter the directory of the check"))?;
    // A command that can't be started has an outcome too: the supervisor needn't tell
    // a missing program from a shim that failed.
    let outcome = execute(&spec, &signals);
    write(&spec.result, &outcome)?;
    Ok(0)
}

/// Dropped with the process, however that ends; the child doesn't inherit it. Who holds
/// it stands inside, by pid and start ticks, for a supervisor that would rather end it.
fn lock(spec: &Path) -> Result<OwnedFd, ShimError> {
    let mut name = spec.as_os_str().to_owned();
    name.push(".lock");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        rustix::fs::openat(CWD, &name, flags, Mode::RUSR | Mode::WUSR).map_err(system("open the lock"))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(system("lock the check: another one runs"))?;
    let holder = std::process::id();
    let start_ticks = process::stat(holder).map(|facts| facts.start_ticks);
    let line = serde_json::json!({ "pid": holder, "start_ticks": start_ticks }).to_string();
    // An earlier holder's line may be longer.
    rustix::fs::ftruncate(&file, 0).map_err(system("write the lock"))?;
    rustix::io::write(&file, line.as_bytes()).map_err(system("write the lock"))?;
    Ok(file)
}

fn read(path: &Path) -> Result<CheckSpec, ShimError> {
    let bytes = mail::read_regular(path)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let problem = Problem { code: "bad_value", path: String::new(), message: error.to_string() };
        ShimError::Document(path.to_owned(), problem)
    })
}

fn execute(spec: &CheckSpec, signals: &Signals) -> CheckOutcome {
    let mut outcome = CheckOutcome {
        code: None,
        signal: None,
        timed_out: false,
        started_at: clock::label(),
        ended_at: String::new(),
        output_bytes: 0,
        truncated: false,
        survivors: Vec::new(),
        error: None,
    };
    match start(spec) {
        Ok((tree, relay)) => watch(spec, signals, tree, relay, &mut outcome),
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            outcome.error = Some(format!("failed to {error}{cause}"));
            outcome.ended_at = clock::label();
        }
    }
    outcome
}

fn start(spec: &CheckSpec) -> Result<(Tree, Relay), ShimError> {
    // Nothing runs whose output couldn't be kept: it would be evidence of nothing.
    let log = Log::anew(&spec.output, spec.output_cap).map_err(system("open the file for output"))?;
    let argv: Vec<OsString> = spec.argv.iter().map(OsString::from).collect();
    let env = spec.env.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let program = Program::find(&argv, env).map_err(system("start the program"))?;
    let (reading, writing) = relay::pipe().map_err(system("open a pipe for output"))?;
    let child = program.start_in_group(&writing).map_err(system("start the program"))?;
    Ok((Tree::new(child), Relay::from_pipe(reading, log)))
}

fn watch(spec: &CheckSpec, signals: &Signals, mut tree: Tree, mut relay: Relay, outcome: &mut CheckOutcome) {
    let grace = Duration::from_millis(spec.grace_ms).min(MAX_WAIT);
    let until = clock::now() + Duration::from_millis(spec.timeout_ms).min(MAX_WAIT);
    loop {
        let now = clock::now();
        tree.step(grace, now);
        if tree.is_over() {
            break;
        }
        if now >= until && tree.is_running() {
            outcome.timed_out = true;
            tree.ask(grace, now);
            continue;
        }
        // An ending has its own rhythm; until then only the deadline has to wake us.
        let limit = if tree.is_running() { until } else { now + LONGEST_NAP };
        let next = tree.wake_at(now).unwrap_or(limit).saturating_duration_since(now);
        relay.turn(signals, next.min(LONGEST_NAP));
        while let Some(signal) = signals.next() {
            // A resumed supervisor that wants it gone; everything else is nobody's business.
            if signal == Signal::SIGTERM {
                tree.ask(grace, clock::now());
            }
        }
    }
    relay.drain(signals, DRAIN_PATIENCE, clock::now);
    // Last, because what outlived the command may have printed while it was ended.
    outcome.output_bytes = relay.log().total();
    outcome.truncated = relay.log().is_truncated();
    outcome.survivors = tree.survivors().to_vec();
    outcome.error = relay.log().trouble().map(str::to_owned);
    match tree.end() {
        Some((End::Code(code), _)) => outcome.code = Some(*code),
        Some((End::Signal(signal), _)) => outcome.signal = Some(*signal),
        Some((End::Unseen, _)) | None => outcome.error = Some("its end wasn't seen".to_owned()),
    }
    outcome.ended_at = tree.end().map_or_else(clock::label, |(_, at)| at.clone());
}

fn write(result: &Path, outcome: &CheckOutcome) -> Result<(), ShimError> {
    let name = result.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(ShimError::Usage("the result has no file name"))?;
    let folder = result.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    Ok(mail::write_json(&folder, name, outcome, true)?)
}
