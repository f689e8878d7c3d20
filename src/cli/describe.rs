//! A workflow's parts in words, for `plan`.
//!
//! Pure. It leaves out what became of a task, which is `render`'s.

use std::fmt::Write as _;
use std::time::Duration;

use crate::workflow::{Evidence, Item, Limits, LogSource, Need, Task, TaskBase, TaskKind, When};

/// Characters of a command or a prompt that are shown.
const MAX_TEXT: usize = 72;

/// `1 task`, `2 tasks`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Names in backticks, with commas; the rest beyond `most` is counted.
#[must_use]
pub fn list(names: &[String], most: usize) -> String {
    let shown: Vec<String> = names.iter().take(most).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(most) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1h30m`, `500ms`: as a workflow file writes it.
#[must_use]
pub fn duration(time: Duration) -> String {
    let mut rest = time.as_millis();
    let mut text = String::new();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= size {
            // A `String` takes every write.
            let _ = write!(text, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// `1.5 GiB`, rounded down to a tenth.
#[must_use]
pub fn bytes(number: u64) -> String {
    // Whole shifts and not floating point, so that nothing is rounded up.
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, shift)| number >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = (u128::from(number) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{number} B"),
    }
}

/// The first line of a text, cut short.
fn brief(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let more = line.chars().count() > MAX_TEXT || text.trim().lines().nth(1).is_some();
    let shown: String = line.chars().take(MAX_TEXT).collect();
    if more { format!("{}...", shown.trim_end()) } else { shown }
}

/// What a task does: `run: cargo test`.
#[must_use]
pub fn kind(kind: &TaskKind) -> String {
    let argv = |argv: &[String]| {
        // Only a NUL can't be quoted, and the workflow's reader refuses it.
        let words = argv.iter().map(|word| shlex::try_quote(word).unwrap_or_default().into_owned());
        brief(&words.collect::<Vec<_>>().join(" "))
    };
    match kind {
        TaskKind::Run(line) => format!("run: {}", brief(line)),
        TaskKind::Argv(words) => format!("argv: {}", argv(words)),
        TaskKind::Worker(words) => format!("worker: {}", argv(words)),
        TaskKind::Agent { agent, prompt } => format!("agent `{agent}`: {}", brief(prompt)),
    }
}

/// The word of a policy, as a workflow file writes it.
#[must_use]
pub fn when(when: When) -> &'static str {
    match when {
        When::Completed => "completed",
        When::Partial => "partial",
        When::Terminal => "terminal",
        When::Optional => "optional",
        When::Failed => "failed",
    }
}

/// What a task waits for: `test and lint (when: failed)`.
#[must_use]
pub fn needs(task: &Task) -> String {
    let name = |need: &Need| match need.when {
        Some(own) => format!("{} ({})", need.task, when(own)),
        None => need.task.clone(),
    };
    let names: Vec<String> = task.needs.iter().map(name).collect();
    let all_own = task.needs.iter().all(|need| need.when.is_some());
    // The common policy is told once, unless every need has its own.
    if all_own { names.join(", ") } else { format!("{} (when: {})", names.join(", "), when(task.when)) }
}

/// Where a task's tree starts.
#[must_use]
pub fn base(base: &TaskBase) -> String {
    match base {
        TaskBase::Commit(written) => format!("`{written}`"),
        TaskBase::Task(task) => format!("the head of task `{task}`"),
    }
}

/// What must be shown, one line for each item.
#[must_use]
pub fn evidence(evidence: &Evidence) -> Vec<String> {
    match evidence {
        Evidence::Items(items) => items.iter().map(item).collect(),
        Evidence::Waived(reason) => vec![format!("none, waived: {}", brief(reason))],
    }
}

/// One item in words.
#[must_use]
pub fn item(item: &Item) -> String {
    match item {
        Item::Exit(code) => format!("ends with exit code {code}"),
        Item::Command { command, matches, timeout } => {
            let matching = matches
                .as_ref()
                .map_or_else(String::new, |pattern| format!(" and prints /{}/", brief(pattern)));
            format!("`{}` succeeds{matching} within {}", brief(command), duration(*timeout))
        }
        Item::Diff { paths, max_lines, clean, allow_none } => {
            // The parts in the order in which they are checked.
            let mut text =
                (if *allow_none { "changes nothing or something" } else { "changes something" }).to_owned();
            if !paths.is_empty() {
                let _ = write!(text, " only in {}", list(paths, 5));
            }
            if let Some(lines) = max_lines {
                let _ = write!(text, ", at most {lines} lines");
            }
            if *clean {
                text.push_str(", all of it committed");
            }
            text
        }
        Item::Artifact { path } => format!("makes the file `{path}`"),
        Item::Log { pattern, source: LogSource::Worker } => format!("prints /{}/", brief(pattern)),
        Item::Log { pattern, source: LogSource::File(path) } => {
            format!("writes /{}/ into the file `{path}`", brief(pattern))
        }
        Item::Approval { message } => format!("is approved by a person: {}", brief(message)),
    }
}

/// What an attempt of a task may use at most, where that is said or a run's cap makes it matter.
pub fn ceiling(task: &Task) -> Option<String> {
    let tokens = task.budget.tokens.map(|tokens| format!("{tokens} tokens"));
    let usd = task.budget.usd.map(|usd| format!("{usd} usd"));
    let parts: Vec<String> = tokens.into_iter().chain(usd).collect();
    (!parts.is_empty()).then(|| format!("{} an attempt", parts.join(", ")))
}

/// The bounds of a run that it may meet, one by one.
pub fn bounds(limits: &Limits) -> Vec<String> {
    let all = [
        limits.attempts.map(|most| format!("{} over all tasks", plural(u64::from(most), "attempt"))),
        limits.wall.map(|wall| format!("{} for the whole run", duration(wall))),
        limits.tokens.map(|tokens| format!("{tokens} tokens over all tasks")),
        limits.usd.map(|usd| format!("{usd} usd over all tasks")),
        limits.failures.map(|failures| {
            let within = duration(failures.within);
            format!(
                "{} within {within}; one more stops the run",
                plural(u64::from(failures.max), "failed attempt")
            )
        }),
    ];
    all.into_iter().flatten().collect()
}

fn plural(number: u64, noun: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_as_a_workflow_writes_them() {
        for (millis, expected) in
            [(0, "0s"), (500, "500ms"), (1_500, "1s500ms"), (1_800_000, "30m"), (5_400_000, "1h30m")]
        {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }

    #[test]
    fn sizes_are_never_told_larger_than_they_are() {
        for (number, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (2_047, "1.9 KiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(brief("one\ntwo"), "one...");
        assert_eq!(brief("  one \n"), "one");
        assert_eq!(brief(&"x".repeat(100)), format!("{}...", "x".repeat(MAX_TEXT)));
    }

    #[test]
    fn a_program_is_shown_as_a_shell_would_take_it() {
        let argv =
            |words: &[&str]| kind(&TaskKind::Argv(words.iter().map(|&word| word.to_owned()).collect()));
        assert_eq!(argv(&["sh", "-c", "echo a b"]), "argv: sh -c 'echo a b'");
    }

    #[test]
    fn each_item_is_told_with_all_its_conditions() {
        assert_eq!(item(&Item::Exit(3)), "ends with exit code 3");
        let command = Item::Command {
            command: "make check".into(),
            matches: Some("ok [1-9]".into()),
            timeout: Duration::from_secs(600),
        };
        assert_eq!(item(&command), "`make check` succeeds and prints /ok [1-9]/ within 10m");
        let diff = |paths: &[&str], max_lines, clean, allow_none| {
            let paths = paths.iter().map(|&path| path.to_owned()).collect();
            item(&Item::Diff { paths, max_lines, clean, allow_none })
        };
        assert_eq!(diff(&[], None, false, false), "changes something");
        assert_eq!(
            diff(&["src/**", "docs"], Some(400), true, true),
            "changes nothing or something only in `src/**`, `docs`, at most 400 lines, all of it committed"
        );
        assert_eq!(item(&Item::Artifact { path: "a/b".into() }), "makes the file `a/b`");
        let log = |source| item(&Item::Log { pattern: "ok [1-9]".into(), source });
        assert_eq!(log(LogSource::Worker), "prints /ok [1-9]/");
        assert_eq!(log(LogSource::File("a.log".into())), "writes /ok [1-9]/ into the file `a.log`");
        assert_eq!(item(&Item::Approval { message: "Ship it?".into() }), "is approved by a person: Ship it?");
    }

    #[test]
    fn names_beyond_the_bound_are_counted() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(list(&names, 3), "`a`, `b`, `c`");
        assert_eq!(list(&names, 1), "`a` and 2 more");
    }
}
