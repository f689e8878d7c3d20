//! A workflow's parts in words, for `plan`.
//!
//! Pure. It leaves out what became of a task, which is `render`'s.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::workflow::{Evidence, Item, Limits, LogSource, Made, Need, Task, TaskBase, TaskKind, When};

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
pub fn kind(of: &TaskKind) -> String {
    let argv = |argv: &[String]| {
        // Only a NUL can't be quoted, and the workflow's reader refuses it.
        let words = argv.iter().map(|word| shlex::try_quote(word).unwrap_or_default().into_owned());
        brief(&words.collect::<Vec<_>>().join(" "))
    };
    match of {
        TaskKind::Run(line) => format!("run: {}", brief(line)),
        TaskKind::Argv(words) => format!("argv: {}", argv(words)),
        TaskKind::Worker(words) => format!("worker: {}", argv(words)),
        TaskKind::Agent { agent, prompt, model } => {
            let model = model.as_ref().map(|model| format!(" with {}", brief(model))).unwrap_or_default();
            format!("agent `{agent}`{model}: {}", brief(prompt))
        }
        TaskKind::Reduce(line) => format!("reduce: {}", brief(line)),
        TaskKind::Approve(message) => format!("approve: {}", brief(message)),
        TaskKind::Loop(body) => format!("loop, at most {} times: {}", body.max, kind(&body.each.kind)),
        TaskKind::Map(map) => {
            let (task, output) = (&map.task, &map.output);
            format!("map over `{task}.outputs.{output}`, at most {}: {}", map.max, kind(&map.each.kind))
        }
        TaskKind::Tournament(cup) => {
            format!("tournament of {}, judged by {}", cup.entrants.len(), kind(&cup.judge.kind))
        }
    }
}

/// The same, with the labels of one that chooses.
#[must_use]
pub fn what(task: &Task) -> String {
    if task.branches.is_empty() {
        return kind(&task.kind);
    }
    let labels: Vec<String> = task.branches.keys().cloned().collect();
    format!("classify into {}: {}", list(&labels, 5), kind(&task.kind))
}

/// Where each label of a classifier leads, one line for each.
#[must_use]
pub fn branches(task: &Task) -> Vec<String> {
    let leads = |tasks: &[String]| match tasks {
        [] => "nothing".to_owned(),
        tasks => list(tasks, 5),
    };
    task.branches.iter().map(|(label, tasks)| format!("`{label}` leads to {}", leads(tasks))).collect()
}

/// What a control task makes, under the id that it will have: `3 entrants, `cup-e1` to `cup-e3``.
#[must_use]
pub fn made(made: &Made<'_>, parent: &str) -> String {
    let (first, last) = made.ids(parent);
    let most = if matches!(made.role, "iteration" | "element") { "at most " } else { "" };
    let ids = if made.count == 1 { format!("`{first}`") } else { format!("`{first}` to `{last}`") };
    format!("{most}{}, {ids}", count(made.count, made.role))
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
        Item::Review { task } => format!("passes the review by `{task}`"),
        Item::Approval { message } => format!("is approved by a person: {}", brief(message)),
        Item::Output { name, equals } => {
            format!("answers {} as `outputs.{name}`", brief(&equals.to_string()))
        }
        Item::Choice { name, among } => format!("answers one of {} as `outputs.{name}`", list(among, 5)),
        Item::Unchanged => "leaves its tree as it is, because it is untrusted".to_owned(),
        Item::Views => "leaves the heads that it compares as they are".to_owned(),
        Item::Reduced => "prints the same when ilchul runs it again".to_owned(),
        Item::Children => "is judged by what becomes of its own tasks".to_owned(),
    }
}

/// What an attempt of a task may use at most, where that is said or a run's cap makes it matter.
pub fn ceiling(task: &Task) -> Option<String> {
    let tokens = task.budget.tokens.map(|tokens| format!("{tokens} tokens"));
    let usd = task.budget.usd.map(|usd| format!("{usd} usd"));
    let parts: Vec<String> = tokens.into_iter().chain(usd).collect();
    (!parts.is_empty()).then(|| format!("{} an attempt", parts.join(", ")))
}

/// The bounds of a run for scripts: every key is there, null where nothing is bounded.
#[must_use]
pub fn bounds_json(limits: &Limits) -> Value {
    let mut bounds = json!(limits);
    // A frozen workflow leaves it out, for those that were kept before there was one.
    if let Some(bounds) = bounds.as_object_mut() {
        bounds.entry("failures").or_insert(Value::Null);
    }
    bounds
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
    fn each_control_kind_is_told_with_what_bounds_it() {
        let text = concat!(
            "version: 1\ntasks:\n",
            "  a: { run: x }\n",
            "  l: { loop: { max: 3, until: { output: n, equals: 0 }, each: { run: ./fix } } }\n",
            "  m: { map: { over: a.outputs.files, each: { argv: [x, a b] } } }\n",
            "  t: { tournament: { entrants: 3, each: { run: x }, judge: { run: ./judge } } }\n",
            "  c: { classify: { by: { run: ./sort }, branches: { yes: [a2], no: [] } } }\n",
            "  a2: { run: x }\n",
            "  r: { reduce: { run: sort, over: [a] } }\n",
            "  p: { approve: { message: Go? } }\n",
        );
        let workflow = crate::workflow::load("x.yaml", text.as_bytes()).unwrap().workflow;
        let told: Vec<String> = workflow.tasks.iter().map(what).collect();
        assert_eq!(
            told,
            [
                "run: x",
                "loop, at most 3 times: run: ./fix",
                "map over `a.outputs.files`, at most 100: argv: x 'a b'",
                "tournament of 3, judged by run: ./judge",
                "classify into `no`, `yes`: run: ./sort",
                "run: x",
                "reduce: sort",
                "approve: Go?",
            ]
        );
        assert_eq!(branches(&workflow.tasks[4]), ["`no` leads to nothing", "`yes` leads to `a2`"]);
        let of = |index: usize| {
            let task = &workflow.tasks[index];
            let all = crate::workflow::made(task);
            all.iter().map(|it| made(it, &task.id)).collect::<Vec<_>>()
        };
        assert_eq!(of(0), Vec::<String>::new());
        assert_eq!(of(1), ["at most 3 iterations, `l-i1` to `l-i3`"]);
        assert_eq!(of(2), ["at most 100 elements, `m-m1` to `m-m100`"]);
        assert_eq!(of(3), ["3 entrants, `t-e1` to `t-e3`", "2 judges, `t-j1` to `t-j2`"]);
    }

    #[test]
    fn names_beyond_the_bound_are_counted() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(list(&names, 3), "`a`, `b`, `c`");
        assert_eq!(list(&names, 1), "`a` and 2 more");
    }
}
