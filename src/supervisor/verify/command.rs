//! `command`: run by ilchul at the judged head, in the worker's environment, under
//! a shim of its own (law E2).

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Case, refuted, unverifiable, verified};
use crate::engine::evidence::Checked;
use crate::home::{private_dir, read_plain};
use crate::journal::blobs;
use crate::mail;
use crate::protocol::{CheckOutcome, CheckSpec};

const KIND: &str = "command";
/// Bytes of output that are kept and matched.
pub(in crate::supervisor) const OUTPUT_CAP: u64 = 8 << 20;

pub(super) fn check(
    case: &Case,
    number: usize,
    (command, matches, timeout): (&str, Option<&str>, Duration),
) -> Checked {
    // Before anything runs there.
    let checked = match case.astray() {
        Ok(None) => match run(case, number, Order::line(case, command, timeout)) {
            Ok(seen) => judge(case, &seen, matches, timeout),
            Err(why) => unverifiable(KIND, why),
        },
        Ok(Some(astray)) => refuted(KIND, astray),
        Err(why) => unverifiable(KIND, why),
    };
    let checked = checked.fact("command", command).fact("cwd", case.tree.display().to_string());
    match matches {
        Some(pattern) => checked.fact("match", pattern),
        None => checked,
    }
}

/// What is run, where, and for how long at most.
pub(super) struct Order {
    pub(super) argv: Vec<String>,
    pub(super) cwd: PathBuf,
    pub(super) env: BTreeMap<String, String>,
    pub(super) timeout: Duration,
}

impl Order {
    fn line(case: &Case, line: &str, timeout: Duration) -> Self {
        let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), line.to_owned()];
        Self { argv, cwd: case.tree.clone(), env: case.env.clone(), timeout }
    }
}

/// What was seen while the command ran.
pub(super) struct Run {
    pub(super) outcome: CheckOutcome,
    before: Option<State>,
    after: Option<State>,
    /// Where what it printed is.
    pub(super) output: PathBuf,
}

impl Run {
    /// Whether the tree stood at the end where it had stood at the beginning.
    pub(super) fn left_the_tree_alone(&self) -> bool {
        self.before == self.after
    }
}

/// Where the tree stood: head and tracked content, and whether it was git's own still.
#[derive(PartialEq, Eq)]
struct State {
    gitfile_intact: bool,
    head: String,
    tree: String,
}

/// Runs it under a shim of its own, once an older one has ended.
pub(super) fn run(case: &Case, number: usize, order: Order) -> Result<Run, String> {
    private_dir(&case.checks).map_err(|error| format!("make `{}`: {error}", case.checks.display()))?;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let file = |suffix: &str| case.checks.join(format!("{number}.{suffix}"));
    let spec = CheckSpec {
        argv: case.around.iter().cloned().chain(order.argv).collect(),
        cwd: order.cwd,
        env: order.env,
        timeout_ms: millis(order.timeout),
        grace_ms: millis(case.grace),
        output: file("log"),
        output_cap: OUTPUT_CAP,
        result: file("result.json"),
    };
    let path = file("json");
    await_older(&path)?;
    // An older result must not pass for this one's.
    if spec.result.exists() {
        std::fs::rename(&spec.result, file("result.old.json")).map_err(|error| error.to_string())?;
    }
    let name = format!("{number}.json");
    mail::write_json(&case.checks, &name, &spec, false).map_err(|error| error.to_string())?;
    let before = state(case)?;
    let status = Command::new(&case.program)
        .args(["shim".as_ref(), "--check".as_ref(), path.as_os_str()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("start `{}`: {error}", case.program.display()))?;
    let bytes = mail::read_regular(&spec.result)
        .map_err(|error| format!("the check left no result ({status}): {error}"))?;
    let outcome = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    Ok(Run { outcome, before, after: state(case)?, output: spec.output })
}

/// Waits for a check that an earlier supervisor started: two of them must not share a tree.
fn await_older(spec: &Path) -> Result<(), String> {
    let mut lock = spec.as_os_str().to_owned();
    lock.push(".lock");
    match read_plain(Path::new(&lock)) {
        Ok(file) => file.lock().map_err(|error| format!("wait for an older check: {error}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(format!("wait for an older check: {error}")),
    }
}

fn state(case: &Case) -> Result<Option<State>, String> {
    let Some(git) = &case.git else { return Ok(None) };
    let head = git.repository.head(&git.handle).map_err(|error| error.to_string())?;
    let tree = git.repository.tree_id(&git.handle).map_err(|error| error.to_string())?;
    Ok(Some(State { gitfile_intact: head.gitfile_intact, head: head.commit, tree: tree.tree }))
}

fn judge(case: &Case, seen: &Run, matches: Option<&str>, timeout: Duration) -> Checked {
    let outcome = &seen.outcome;
    // What is matched are the bytes that are kept: who asks again sees what was judged.
    let output = read_output(&seen.output);
    let log = output.as_deref().ok().and_then(|bytes| blobs::keep(&case.home, &mut &*bytes, OUTPUT_CAP).ok());
    let verdict = verdict(case, seen, (matches, output.as_deref()), timeout);
    let mut checked = verdict
        .fact("exit", outcome.code)
        .fact("signal", outcome.signal)
        .fact("started_at", outcome.started_at.clone())
        .fact("ended_at", outcome.ended_at.clone())
        .fact("output_bytes", outcome.output_bytes)
        .fact("truncated", outcome.truncated);
    if let Some(state) = &seen.before {
        checked = checked.fact("commit", state.head.clone()).fact("tree", state.tree.clone());
    }
    if let Some(blob) = log {
        checked = checked.fact("log_sha256", blob.sha256).fact("log_bytes", blob.bytes);
    }
    checked
}

fn verdict(
    case: &Case,
    seen: &Run,
    (matches, output): (Option<&str>, Result<&[u8], &std::io::Error>),
    timeout: Duration,
) -> Checked {
    let outcome = &seen.outcome;
    if let Some(foreign) = case.foreign_commit() {
        return refuted(KIND, foreign);
    }
    if outcome.timed_out {
        return refuted(KIND, format!("it wasn't done after {} s", timeout.as_secs()));
    }
    if let Some(error) = &outcome.error {
        return refuted(KIND, format!("it couldn't be run: {error}"));
    }
    if !seen.left_the_tree_alone() {
        return unverifiable(KIND, "the tree was changed while the command ran");
    }
    if let Some(elsewhere) = elsewhere(case, seen) {
        return unverifiable(KIND, elsewhere);
    }
    match (outcome.code, outcome.signal) {
        (Some(0), _) => {}
        (Some(code), _) => return refuted(KIND, format!("it ended with exit code {code}")),
        (None, Some(signal)) => return refuted(KIND, format!("it was ended by signal {signal}")),
        (None, None) => return unverifiable(KIND, "nobody saw how it ended"),
    }
    let Some(pattern) = matches else { return verified(KIND, "it ended with exit code 0") };
    match (regex::Regex::new(pattern), output) {
        (Ok(pattern), Ok(bytes)) if pattern.is_match(&String::from_utf8_lossy(bytes)) => {
            verified(KIND, "it ended with exit code 0 and its output matches")
        }
        (Ok(_), Ok(_)) => {
            let cut = if outcome.truncated { " (only its first part was kept)" } else { "" };
            refuted(KIND, format!("its output doesn't match `{pattern}`{cut}"))
        }
        (Err(error), _) => unverifiable(KIND, format!("the pattern can't be used: {error}")),
        (_, Err(error)) => unverifiable(KIND, format!("its output can't be read: {error}")),
    }
}

/// Law E2: at the judged head, and at no other.
fn elsewhere(case: &Case, seen: &Run) -> Option<String> {
    let judged = &case.git.as_ref()?.snapshot.as_ref()?.tip;
    let found = &seen.before.as_ref()?.head;
    (found != judged).then(|| format!("the tree stood at {found}, the judged head is {judged}"))
}

/// The bytes that are kept of what was printed.
pub(super) fn read_output(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_plain(path)?.take(OUTPUT_CAP).read_to_end(&mut bytes)?;
    Ok(bytes)
}
