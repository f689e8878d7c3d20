//! Asking again (law E6): every recorded item of an attempt is looked at once more, from
//! the record.
//!
//! Only reads, bounded, and starts no process: a command isn't run again, its kept output is
//! judged again. It needs no supervisor and no worktree. It leaves out the journal's own
//! chain of digests, which whoever read the events has proven.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use ilchul_git_worktree::{DiffStat, GitWorktree};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::verify::{ARTIFACT_CAP, OUTPUT_CAP, PATHS_MAX, open_below, reduce_result};
use crate::engine::bundle::{Again, Bundle, Rechecked};
use crate::engine::evidence::{Checked, ChildExit, Verdict, judge_exit};
use crate::home::Home;
use crate::journal::blobs::{self, Found};

/// Where a recheck looks.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Whose blobs and trees.
    pub home: &'a Home,
    /// Whose commits.
    pub repository: &'a GitWorktree,
    /// The run's id.
    pub run: &'a str,
}

/// No log that is kept is longer: what a shim captures, and its last line.
const LOG_CAP: u64 = 65 << 20;

/// What was seen of one item, and in which words.
type Seen = (Again, String);

/// Looks at every recorded item again, in order.
#[must_use]
pub fn recheck(look: Look<'_>, bundle: &Bundle) -> Vec<Rechecked> {
    let item = |(item, (_, checked)): (&usize, &(_, Checked))| {
        let (again, reason) = one(look, bundle, checked);
        Rechecked { item: *item, again, reason }
    };
    bundle.items.iter().map(item).collect()
}

fn one(look: Look<'_>, bundle: &Bundle, checked: &Checked) -> Seen {
    match checked.kind.as_str() {
        "exit" => exit(bundle, checked),
        "diff" => diff(look, bundle, checked).unwrap_or_else(|seen| seen),
        "command" => command(look, bundle, checked).unwrap_or_else(|seen| seen),
        "artifact" => artifact(look, bundle, checked).unwrap_or_else(|seen| seen),
        "log" => log(look, checked).unwrap_or_else(|seen| seen),
        "review" => review(bundle, checked),
        "reduce" => reduce(look, checked).unwrap_or_else(|seen| seen),
        // Whatever else keeps bytes names them so; the rest is the journal's word alone.
        _ => match text(checked, "sha256").or_else(|| text(checked, "log_sha256")) {
            Some(sha256) => kept(look, checked, sha256, ("bytes", ARTIFACT_CAP), &mut io::sink())
                .map_or_else(|seen| seen, |bytes| same(format!("its {bytes} bytes are kept"))),
            None => same("it stands in the journal, and nothing was kept beside it"),
        },
    }
}

fn same(reason: impl Into<String>) -> Seen {
    (Again::Same, reason.into())
}

fn differs(reason: impl Into<String>) -> Seen {
    (Again::Differs, reason.into())
}

fn text<'c>(checked: &'c Checked, name: &str) -> Option<&'c str> {
    checked.facts.get(name).and_then(Value::as_str)
}

/// The verdict follows from the exit that the journal holds of this very attempt.
fn exit(bundle: &Bundle, checked: &Checked) -> Seen {
    let expected =
        checked.facts.get("expected").and_then(Value::as_i64).and_then(|code| code.try_into().ok());
    let Some(expected) = expected else { return differs("it doesn't say which exit code was expected") };
    let again = judge_exit(expected, bundle.exit.unwrap_or(ChildExit::Unknown));
    if again == *checked {
        return same(format!("the journal holds {}", bundle.exit.unwrap_or(ChildExit::Unknown).words()));
    }
    differs(format!("the journal's exit gives `{}: {}`", again.verdict.word(), again.reason))
}

/// A verdict is about the commit that this attempt was kept as, and about no other; who gave it
/// stands in the record of the reviewer's own attempt.
fn review(bundle: &Bundle, checked: &Checked) -> Seen {
    if checked.verdict != Verdict::Verified {
        return same("it stands in the journal");
    }
    let captured = bundle.snapshot.as_ref().map(|snapshot| snapshot.commit.as_str());
    let (Some(commit), Some(worker)) = (text(checked, "commit"), text(checked, "worker")) else {
        return differs("it doesn't say what was looked at, and by whom");
    };
    if captured != Some(commit) {
        let captured = captured.unwrap_or("none");
        return differs(format!("it is about {commit}, and the commit of this attempt is {captured}"));
    }
    match text(checked, "answer") {
        Some("pass") => same(format!("`{worker}` looked at the commit of this attempt")),
        answer => differs(format!("it is called verified, and the answer is {}", answer.unwrap_or("none"))),
    }
}

/// What changed is counted again between the recorded commits.
fn diff(look: Look<'_>, bundle: &Bundle, checked: &Checked) -> Result<Seen, Seen> {
    let (Some(base), Some(head)) = (text(checked, "base"), text(checked, "head")) else {
        return Ok(same("no commits were compared"));
    };
    let captured = bundle.snapshot.as_ref().map(|snapshot| snapshot.commit.as_str());
    if captured != Some(head) {
        let captured = captured.unwrap_or("none");
        return Err(differs(format!("it is about {head}, and the commit of this attempt is {captured}")));
    }
    let unknown = |error: ilchul_substrate::Error| (Again::Unknown, super::words(&error));
    for commit in [base, head] {
        if !look.repository.contains_commit(commit).map_err(unknown)? {
            return Err((Again::Gone, format!("the commit {commit} isn't stored any more")));
        }
    }
    let verified = checked.verdict == Verdict::Verified;
    if verified && !look.repository.descends(head, base).map_err(unknown)? {
        return Err(differs(format!("{head} doesn't descend from {base}")));
    }
    // An object on the way that is missing or damaged: what was compared is no longer there.
    let stat = look.repository.diff(base, head).map_err(|error| (Again::Gone, super::words(&error)))?;
    let counted = facts_of(&stat);
    // An item that was refuted before anything was counted holds no figures.
    let recorded = counted.iter().filter_map(|(name, now)| Some((name, checked.facts.get(name)?, now)));
    for (name, then, now) in recorded {
        if then != now {
            return Err(differs(format!("`{name}` was {then}, it is {now}")));
        }
    }
    let files =
        if stat.files.len() == 1 { "1 file".to_owned() } else { format!("{} files", stat.files.len()) };
    Ok(same(format!("{files}, +{} -{}, counted again", stat.added, stat.removed)))
}

fn facts_of(stat: &DiffStat) -> [(&'static str, Value); 5] {
    let paths: Vec<&str> = stat.files.iter().take(PATHS_MAX).map(|file| file.path.as_str()).collect();
    [
        ("files", json!(stat.files.len())),
        ("added", json!(stat.added)),
        ("removed", json!(stat.removed)),
        ("patch_id", json!(stat.patch_id)),
        ("paths", json!(paths)),
    ]
}

/// A command isn't run again: where it ran, how it ended and what it printed are judged again.
fn command(look: Look<'_>, bundle: &Bundle, checked: &Checked) -> Result<Seen, Seen> {
    if checked.facts.get("exit").is_none() {
        return Ok(same("it wasn't run, so nothing was kept"));
    }
    let Some(sha256) = text(checked, "log_sha256") else {
        return Err((Again::Gone, "its output wasn't kept".to_owned()));
    };
    let mut output = Vec::new();
    let bytes = kept(look, checked, sha256, ("log_bytes", OUTPUT_CAP), &mut output)?;
    if checked.verdict == Verdict::Verified {
        whose(look, bundle, checked)?;
        judge(checked, &output)?;
    }
    Ok(same(format!("its {bytes} bytes of output are kept; it isn't run again")))
}

/// A reduction isn't run a third time: what it read is kept, and so is what both runs printed.
fn reduce(look: Look<'_>, checked: &Checked) -> Result<Seen, Seen> {
    let Some(inputs) = text(checked, "inputs_sha256") else { return Ok(same("there was nothing to keep")) };
    kept(look, checked, inputs, ("inputs_bytes", LOG_CAP), &mut io::sink())?;
    let (Some(first), Some(again)) = (text(checked, "output_sha256"), text(checked, "again_sha256")) else {
        return match checked.verdict {
            Verdict::Verified => Err((Again::Gone, "its output wasn't kept".to_owned())),
            Verdict::Refuted | Verdict::Unverifiable => Ok(same("it wasn't run again, so nothing was kept")),
        };
    };
    let mut output = Vec::new();
    let bytes = kept(look, checked, first, ("output_bytes", OUTPUT_CAP), &mut output)?;
    kept(look, checked, again, ("again_bytes", OUTPUT_CAP), &mut io::sink())?;
    if checked.verdict == Verdict::Verified && first != again {
        return Err(differs("it is called verified, and its two outputs differ"));
    }
    if checked.facts.get("result").is_some_and(|result| *result != reduce_result(&output)) {
        return Err(differs("what was handed on isn't what was printed"));
    }
    Ok(same(format!("its inputs and {bytes} bytes of output are kept; it isn't run again")))
}

/// A kept log is searched again by the pattern that it was accepted for.
fn log(look: Look<'_>, checked: &Checked) -> Result<Seen, Seen> {
    let Some(sha256) = text(checked, "sha256") else { return Ok(same("there was nothing to keep")) };
    let mut output = Vec::new();
    let bytes = kept(look, checked, sha256, ("bytes", LOG_CAP), &mut output)?;
    if checked.verdict == Verdict::Verified {
        matches(text(checked, "pattern"), &output)?;
    }
    Ok(same(format!("its {bytes} bytes are kept")))
}

/// A verified command ran in this attempt's tree, at this attempt's commit.
fn whose(look: Look<'_>, bundle: &Bundle, checked: &Checked) -> Result<(), Seen> {
    let (tree, cwd) = (tree(look, bundle), text(checked, "cwd").unwrap_or_default());
    // By its last part, which is the attempt's own: a home may have been moved as a whole.
    if std::path::Path::new(cwd).file_name() != tree.file_name() {
        return Err(differs(format!("it ran in `{cwd}`, which isn't this attempt's tree")));
    }
    let tip = bundle.snapshot.as_ref().map(|snapshot| snapshot.tip.as_str());
    match (text(checked, "commit"), tip) {
        (Some(commit), tip) if tip != Some(commit) => {
            let tip = tip.unwrap_or("none");
            Err(differs(format!("it ran at {commit}, and this attempt's tree stood at {tip}")))
        }
        (Some(_) | None, _) => Ok(()),
    }
}

fn judge(checked: &Checked, output: &[u8]) -> Result<(), Seen> {
    let exit = checked.facts.get("exit").unwrap_or(&Value::Null);
    if exit.as_i64() != Some(0) {
        return Err(differs(format!("it is called verified, and its exit is {exit}")));
    }
    matches(text(checked, "match"), output)
}

fn matches(pattern: Option<&str>, output: &[u8]) -> Result<(), Seen> {
    let Some(pattern) = pattern else { return Ok(()) };
    let regex = regex::Regex::new(pattern)
        .map_err(|error| (Again::Unknown, format!("the pattern can't be used: {error}")))?;
    if regex.is_match(&String::from_utf8_lossy(output)) {
        return Ok(());
    }
    Err(differs(format!("its kept output doesn't match `{pattern}`")))
}

/// The kept bytes are what counts; what became of the tree's own file is said beside it.
fn artifact(look: Look<'_>, bundle: &Bundle, checked: &Checked) -> Result<Seen, Seen> {
    let (Some(sha256), Some(path)) = (text(checked, "sha256"), text(checked, "path")) else {
        return Ok(same("there was nothing to keep"));
    };
    let bytes = kept(look, checked, sha256, ("bytes", ARTIFACT_CAP), &mut io::sink())?;
    let tree = match open_below(&tree(look, bundle), path) {
        Ok(file) if is_still(&file, sha256, bytes) => "the tree's file is the same",
        Ok(_) => "the tree's file was changed since",
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => "the tree's file is gone",
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::XDEV) => "a link stands in the tree's file's place",
        Err(_) => "nobody could look at the tree's file",
    };
    Ok(same(format!("its {bytes} bytes are kept; {tree}")))
}

fn is_still(file: &File, sha256: &str, bytes: u64) -> bool {
    if !file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == bytes) {
        return false;
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    // Whoever still writes there can't make this read longer than what was kept.
    let mut file = file.take(bytes);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hash.update(&buffer[..count]),
            Err(_) => return false,
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>() == sha256
}

/// Looks at the blob of an item; how many bytes it has, where it is the recorded one.
fn kept(
    look: Look<'_>,
    checked: &Checked,
    sha256: &str,
    (size, cap): (&str, u64),
    out: &mut impl io::Write,
) -> Result<u64, Seen> {
    let named = |what: &str| format!("the blob {sha256}: {what}");
    match blobs::inspect(look.home, sha256, cap, out) {
        Ok(Found::Whole(bytes)) => match checked.facts.get(size).and_then(Value::as_u64) {
            Some(recorded) if recorded != bytes => {
                Err(differs(named(&format!("it has {bytes} bytes, {recorded} were recorded"))))
            }
            Some(_) | None => Ok(bytes),
        },
        Ok(Found::Missing) => Err((Again::Gone, named("it isn't there any more"))),
        Ok(Found::Other(what)) => Err(differs(named(&what))),
        Err(error) => Err((Again::Unknown, named(&format!("it can't be read: {error}")))),
    }
}

fn tree(look: Look<'_>, bundle: &Bundle) -> PathBuf {
    let worker = bundle.worker_id();
    match &bundle.workspace {
        Some(_) => look.home.tree(look.run, &worker),
        None => look.home.scratch(look.run, &worker),
    }
}

#[cfg(test)]
mod tests;
