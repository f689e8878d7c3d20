//! `reduce`: the command is run a second time, by ilchul, and must print the same (law D6).
//!
//! The first run is the worker's; its standard output is in a file, and so is no terminal's,
//! whatever hosts the session: many programs print otherwise to a person. What is compared
//! is that output alone, not what was said on the way. It leaves out who reads the result.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::command::{self, OUTPUT_CAP, Order};
use super::{Case, refuted, unverifiable, verified};
use crate::engine::evidence::{Checked, ChildExit};
use crate::home::{private_dir, read_plain};
use crate::journal::blobs;
use crate::protocol::{AGAIN, CheckOutcome};
use crate::workflow::{Item, REDUCE};

/// Bytes of a result: other tasks read it in their inputs.
const RESULT_CAP: usize = 256 << 10;
/// Fresh folders for second runs: each look that a crash interrupts leaves one behind.
const FOLDERS_MAX: usize = 1000;
/// Runs the line `$2` with its standard output in the file `$1`, and shows it afterwards.
const FIRST: &str = r#"/bin/sh -c "$2" >"$1"; code=$?; cat "$1"; exit "$code""#;
/// Runs the line `$2`, and keeps what it says beside its output in the file `$1`.
const SECOND: &str = r#"exec /bin/sh -c "$2" 2>"$1""#;

/// What is run, and over what.
#[derive(Debug, Clone)]
pub struct Reduction {
    /// For `sh -c`.
    pub line: String,
    /// What it reads of other tasks, as canonical JSON.
    pub inputs: Vec<u8>,
    /// Where the worker's run has left what it printed.
    pub first: PathBuf,
    /// The time of the second run.
    pub timeout: Duration,
}

/// What a worker is told to run.
pub fn argv(line: &str, output: &Path) -> Vec<String> {
    let output = output.display().to_string();
    ["/bin/sh", "-c", FIRST, REDUCE, &output, line].map(str::to_owned).to_vec()
}

/// What a reduction reads, without what differs from run to run: keys in their order, no
/// budget, no places, no times. Anybody can make it again and compare digests.
pub fn canonical(needs: &Map<String, Value>) -> Vec<u8> {
    json!({"needs": needs, "schema": "ilchul.reduce/1"}).to_string().into_bytes()
}

pub(super) fn check(case: &Case, number: usize) -> Checked {
    let Some(reduction) = &case.reduces else {
        return unverifiable(REDUCE, "nobody knows what was to be reduced");
    };
    let inputs = blobs::keep(&case.home, &mut &*reduction.inputs, u64::MAX);
    let checked = match inputs {
        Err(error) => unverifiable(REDUCE, format!("keep its inputs: {error}")),
        Ok(inputs) => compare(case, number, reduction)
            .unwrap_or_else(|verdict| verdict)
            .fact("inputs_sha256", inputs.sha256)
            .fact("inputs_bytes", inputs.bytes),
    };
    checked.fact("command", reduction.line.clone())
}

fn compare(case: &Case, number: usize, reduction: &Reduction) -> Result<Checked, Checked> {
    let code = asked_code(case)?;
    let first = first_output(&reduction.first)?;
    let kept = blobs::keep(&case.home, &mut &*first, OUTPUT_CAP)
        .map_err(|error| unverifiable(REDUCE, format!("keep what it printed: {error}")))?;
    let unseen = |why: String| unverifiable(REDUCE, why);
    let seen = command::run(case, number, order(case, number, reduction).map_err(unseen)?).map_err(unseen)?;
    let again = command::read_output(&seen.output)
        .map_err(|error| unverifiable(REDUCE, format!("read what the second run printed: {error}")))?;
    let again_kept = blobs::keep(&case.home, &mut &*again, OUTPUT_CAP)
        .map_err(|error| unverifiable(REDUCE, format!("keep what the second run printed: {error}")))?;
    let verdict = if seen.left_the_tree_alone() {
        judge((&first, code), (&again, &seen.outcome), reduction.timeout)
    } else {
        refuted(REDUCE, "the second run changed the tree")
    };
    let checked = verdict
        .fact("output_sha256", kept.sha256)
        .fact("output_bytes", kept.bytes)
        .fact("again_sha256", again_kept.sha256)
        .fact("again_bytes", again_kept.bytes)
        .fact("exit", seen.outcome.code)
        .fact("signal", seen.outcome.signal)
        .fact("started_at", seen.outcome.started_at.clone())
        .fact("ended_at", seen.outcome.ended_at);
    Ok(if case.outputs.is_empty() { handed_on(checked, &first) } else { checked })
}

/// The exit code that the first run had, if it is the one that is asked for: a command that
/// failed isn't run again to see it fail.
fn asked_code(case: &Case) -> Result<i32, Checked> {
    let declared =
        case.items.iter().find_map(|item| if let Item::Exit(code) = item { Some(*code) } else { None });
    match case.exit {
        ChildExit::Code(code) if code == declared.unwrap_or(0) => Ok(code),
        ChildExit::Code(_) | ChildExit::Signal(_) => {
            Err(refuted(REDUCE, format!("the first run failed: {}", case.exit.words())))
        }
        ChildExit::Unknown => Err(unverifiable(REDUCE, "nobody recorded how the first run ended")),
    }
}

fn first_output(path: &Path) -> Result<Vec<u8>, Checked> {
    let unseen = |error| unverifiable(REDUCE, format!("read what the first run printed: {error}"));
    let mut bytes = Vec::new();
    read_plain(path).and_then(|file| file.take(OUTPUT_CAP + 1).read_to_end(&mut bytes)).map_err(unseen)?;
    if bytes.len() as u64 > OUTPUT_CAP {
        return Err(refuted(REDUCE, format!("it printed more than {OUTPUT_CAP} bytes")));
    }
    Ok(bytes)
}

/// The same line in the same environment, over the same inputs: in the tree, where it has one,
/// else in an empty folder, as the first run had.
fn order(case: &Case, number: usize, reduction: &Reduction) -> Result<Order, String> {
    private_dir(&case.checks).map_err(|error| format!("make `{}`: {error}", case.checks.display()))?;
    let mut env = case.env.clone();
    let cwd = if case.git.is_some() { case.tree.clone() } else { empty_folder(case, number)? };
    env.insert("ILCHUL_TREE".to_owned(), cwd.display().to_string());
    // It has reported already: `ilchul report` says the same again, and writes nothing.
    env.insert(AGAIN.to_owned(), "1".to_owned());
    let said = case.checks.join(format!("{number}.err")).display().to_string();
    let argv = ["/bin/sh", "-c", SECOND, REDUCE, &said, &reduction.line].map(str::to_owned).to_vec();
    Ok(Order { argv, cwd, env, timeout: reduction.timeout })
}

fn empty_folder(case: &Case, number: usize) -> Result<PathBuf, String> {
    for again in 0..FOLDERS_MAX {
        let folder = case.checks.join(format!("{number}.{again}.scratch"));
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("make `{}`: {error}", folder.display())),
        }
    }
    Err(format!("no name is free for a folder in `{}`", case.checks.display()))
}

/// Whether the second run came out as the first.
fn judge(
    (first, code): (&[u8], i32),
    (again, outcome): (&[u8], &CheckOutcome),
    timeout: Duration,
) -> Checked {
    if outcome.timed_out {
        return refuted(REDUCE, format!("the second run wasn't done after {} s", timeout.as_secs()));
    }
    if let Some(error) = &outcome.error {
        return refuted(REDUCE, format!("it couldn't be run again: {error}"));
    }
    match (outcome.code, outcome.signal) {
        (Some(found), _) if found == code => {}
        (Some(found), _) => {
            return refuted(
                REDUCE,
                format!("the first run ended with exit code {code}, the second with {found}"),
            );
        }
        (None, Some(signal)) => {
            return refuted(REDUCE, format!("the second run was ended by signal {signal}"));
        }
        (None, None) => return unverifiable(REDUCE, "nobody saw how the second run ended"),
    }
    if outcome.truncated || first != again {
        return refuted(REDUCE, "two runs over the same inputs gave different outputs");
    }
    verified(REDUCE, format!("two runs over the same inputs gave the same {} bytes", first.len()))
}

/// The verdict with the result that other tasks read, unless that is too much for them.
fn handed_on(checked: Checked, output: &[u8]) -> Checked {
    if output.len() > RESULT_CAP {
        let why = format!("it printed {} bytes, at most {RESULT_CAP} are handed on", output.len());
        let facts = checked.facts;
        return Checked { facts, ..refuted(REDUCE, why) };
    }
    checked.fact("result", result(output))
}

/// What other tasks read of this output: JSON where it is JSON, else text.
pub fn result(output: &[u8]) -> Value {
    let parsed = serde_json::from_slice::<Value>(output).ok();
    parsed.unwrap_or_else(|| String::from_utf8_lossy(output).into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::evidence::Verdict;

    fn ended(code: Option<i32>) -> CheckOutcome {
        CheckOutcome {
            code,
            signal: None,
            timed_out: false,
            started_at: String::new(),
            ended_at: String::new(),
            output_bytes: 0,
            truncated: false,
            survivors: vec![],
            error: None,
        }
    }

    fn judged(first: &[u8], again: &[u8], outcome: &CheckOutcome) -> (Verdict, String) {
        let checked = judge((first, 0), (again, outcome), Duration::from_secs(2));
        (checked.verdict, checked.reason)
    }

    #[test]
    fn d6_the_same_inputs_give_the_same_output_hash_or_the_reduction_is_refuted() {
        let (verdict, reason) = judged(b"one\n", b"one\n", &ended(Some(0)));
        assert_eq!(
            (verdict, &*reason),
            (Verdict::Verified, "two runs over the same inputs gave the same 4 bytes")
        );
        let (verdict, reason) = judged(b"one\n", b"two\n", &ended(Some(0)));
        assert_eq!(
            (verdict, &*reason),
            (Verdict::Refuted, "two runs over the same inputs gave different outputs")
        );
        // What was cut can't be compared.
        let cut = CheckOutcome { truncated: true, ..ended(Some(0)) };
        assert_eq!(judged(b"x", b"x", &cut).0, Verdict::Refuted);
    }

    #[test]
    fn a_second_run_that_ends_otherwise_is_refuted_whatever_it_printed() {
        let (verdict, reason) = judged(b"x", b"x", &ended(Some(3)));
        assert_eq!(verdict, Verdict::Refuted);
        assert_eq!(reason, "the first run ended with exit code 0, the second with 3");
        let slow = CheckOutcome { timed_out: true, ..ended(None) };
        assert_eq!(
            judged(b"x", b"x", &slow),
            (Verdict::Refuted, "the second run wasn't done after 2 s".into())
        );
        let killed = CheckOutcome { signal: Some(9), ..ended(None) };
        assert_eq!(
            judged(b"x", b"x", &killed),
            (Verdict::Refuted, "the second run was ended by signal 9".into())
        );
        assert_eq!(judged(b"x", b"x", &ended(None)).0, Verdict::Unverifiable);
        let unstarted = CheckOutcome { error: Some("no shell".into()), ..ended(None) };
        assert_eq!(
            judged(b"x", b"x", &unstarted),
            (Verdict::Refuted, "it couldn't be run again: no shell".into())
        );
    }

    #[test]
    fn d6_inputs_that_are_the_same_have_one_form() {
        let need = |head: &str| json!({"head": head, "outputs": {"b": 1, "a": [2]}, "status": "completed", "summary": "s"});
        let one = Map::from_iter([("x".to_owned(), need("1")), ("a".to_owned(), need("2"))]);
        let other = Map::from_iter([("a".to_owned(), need("2")), ("x".to_owned(), need("1"))]);
        assert_eq!(canonical(&one), canonical(&other));
        let expected = r#"{"needs":{"a":{"head":"2","outputs":{"a":[2],"b":1},"status":"completed","summary":"s"},"x":{"head":"1","outputs":{"a":[2],"b":1},"status":"completed","summary":"s"}},"schema":"ilchul.reduce/1"}"#;
        assert_eq!(String::from_utf8(canonical(&one)).unwrap(), expected);
        assert_ne!(canonical(&Map::from_iter([("a".to_owned(), need("2"))])), expected.as_bytes());
    }

    #[test]
    fn a_result_is_handed_on_as_json_or_as_text_and_never_cut() {
        let result = |output: &[u8]| handed_on(verified(REDUCE, "seen"), output);
        assert_eq!(result(b"{\"a\": [1]}\n").facts.get("result").unwrap(), &json!({"a": [1]}));
        assert_eq!(result(b"one\ntwo\n").facts.get("result").unwrap(), "one\ntwo\n");
        assert_eq!(result(b"").facts.get("result").unwrap(), "");
        assert_eq!(result(b"\xff").facts.get("result").unwrap(), "\u{fffd}");
        let whole = result("x".repeat(RESULT_CAP).as_bytes());
        assert_eq!(whole.verdict, Verdict::Verified);
        let large = result("x".repeat(RESULT_CAP + 1).as_bytes());
        assert_eq!((large.verdict, large.facts.get("result")), (Verdict::Refuted, None));
        assert_eq!(large.reason, "it printed 262145 bytes, at most 262144 are handed on");
    }

    #[test]
    fn what_the_first_run_printed_is_read_from_no_link_and_never_past_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reduced");
        assert_eq!(first_output(&path).unwrap_err().verdict, Verdict::Unverifiable);
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert_eq!(first_output(&path).unwrap_err().verdict, Verdict::Unverifiable);
        std::fs::remove_file(&path).unwrap();
        std::fs::File::create(&path).unwrap().set_len(OUTPUT_CAP + 1).unwrap();
        let large = first_output(&path).unwrap_err();
        assert_eq!((large.verdict, &*large.reason), (Verdict::Refuted, "it printed more than 8388608 bytes"));
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(first_output(&path).unwrap(), b"one\n");
    }
}
