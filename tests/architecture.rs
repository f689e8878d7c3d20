//! The fences of the house, read off the sources: who may know whom, who reads a
//! clock, what nothing may do, how large a file may be.
//!
//! Each rule is a function from a source to complaints and comes with a sample that it
//! refuses: a rule that can't fail isn't one. It leaves out what the compiler and the
//! lints see already, and taste.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::process::Command;

use source::{Source, is_test_file, literals, read, root, sources};

/// Holds `rule` against all sources, and against a sample that it must refuse.
fn hold(rule: impl Fn(&Source) -> Vec<String>, refused: &[(&str, &str)]) {
    for (path, text) in refused {
        assert!(!rule(&Source::sample(path, text)).is_empty(), "the rule lets `{path}` pass: {text}");
    }
    let complain = |source: &Source| -> Vec<String> {
        rule(source).into_iter().map(|complaint| format!("{}: {complaint}", source.path)).collect()
    };
    let complaints: Vec<String> = sources().iter().flat_map(complain).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// Which room of `src/` may name which, by the beginning of the path; its own always.
/// A new line here is a decision: it stands in `src/ARCHITECTURE.md` too.
const MAY_NAME: &[(&str, &[&str])] = &[
    // The shapes of what a shim is told of an agent stand in adapters as they are.
    ("workflow", &["protocol"]),
    ("agents", &["workflow", "protocol"]),
    ("protocol", &[]),
    ("home", &[]),
    ("mail", &["protocol"]),
    ("host", &[]),
    ("engine", &["workflow", "protocol"]),
    ("journal", &["engine::event", "engine::moment", "engine::input", "home"]),
    ("shim", &["protocol", "mail"]),
    ("supervisor", &["agents", "engine", "journal", "workflow", "protocol", "mail", "home"]),
    ("render", &["engine", "workflow", "journal::Recorded"]),
    ("dash", &["engine", "render"]),
    (
        "cli",
        // The shim shares our binary; what is inside it is its own.
        &[
            "agents",
            "engine",
            "journal",
            "workflow",
            "protocol",
            "mail",
            "home",
            "host",
            "render",
            "dash",
            "shim::main",
            "supervisor",
        ],
    ),
];

fn rooms(source: &Source) -> Vec<String> {
    let Some(room) = source.room() else { return Vec::new() };
    let Some((_, allowed)) = MAY_NAME.iter().find(|(name, _)| *name == room) else {
        return vec![format!("the room `{room}` isn't on the list")];
    };
    let is_room = |name: &String| MAY_NAME.iter().any(|(room, _)| begins_with(name, room));
    let may = |name: &String| begins_with(name, room) || allowed.iter().any(|path| begins_with(name, path));
    let names = source.names("crate").into_iter();
    names.filter(|name| is_room(name) && !may(name)).map(|name| format!("names `crate::{name}`")).collect()
}

fn begins_with(name: &str, path: &str) -> bool {
    name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn a_room_names_only_the_rooms_that_it_may_know() {
    hold(
        rooms,
        &[
            ("src/engine/state.rs", "use crate::supervisor::run::End;"),
            ("src/engine/decide/mail.rs", "use super::super::super::journal::Journal;"),
            ("src/render/mod.rs", "use crate::{engine::view::RunView, supervisor};"),
            ("src/workflow/dag.rs", "fn f() { crate::engine::Engine::start() }"),
            ("src/journal/store.rs", "use crate::engine::Engine;"),
            ("src/cellar/mod.rs", "//! A room that nobody decided on."),
        ],
    );
}

/// Crates that only some places may name.
const CRATES: &[(&str, &[&str])] = &[
    ("rusqlite", &["src/journal/"]),
    ("rusqlite_migration", &["src/journal/"]),
    ("serde_saphyr", &["src/workflow/"]),
    ("serde_yaml", &["src/workflow/"]),
    ("miette", &["src/workflow/"]),
    ("petgraph", &["src/workflow/"]),
    ("schemars", &["src/workflow/"]),
    ("clap", &["src/cli/"]),
    ("clap_complete", &["src/cli/"]),
    ("clap_mangen", &["src/cli/"]),
    // The one place that speaks to a network.
    ("ureq", &["src/cli/trace.rs"]),
    ("comfy_table", &["src/render/"]),
    ("etcetera", &["src/cli/"]),
    ("ratatui", &["src/dash/", "src/cli/dash/"]),
    ("notify", &["src/supervisor/"]),
    ("tokio", &["src/supervisor/", "src/cli/"]),
    ("git2", &["substrates/git-worktree/"]),
    ("ilchul_git_worktree", &["src/supervisor/", "src/cli/", "substrates/git-worktree/"]),
    ("ilchul_tmux_session", &["src/supervisor/", "src/cli/", "substrates/tmux-session/"]),
    ("ilchul_subprocess", &["src/supervisor/", "src/cli/", "substrates/subprocess/"]),
    (
        "ilchul_slurm",
        &["src/cli/", "src/supervisor/close.rs", "src/supervisor/probe.rs", "substrates/slurm/"],
    ),
    ("ilchul_substrate", &["src/supervisor/", "src/cli/", "substrates/"]),
    // No substrate knows ilchul.
    ("ilchul", &["src/main.rs"]),
];

fn crates(source: &Source) -> Vec<String> {
    let refused = CRATES.iter().filter(|(_, places)| !places.iter().any(|p| source.path.starts_with(p)));
    let code = &source.bare;
    let plainly = |name: &str| code.contains(&format!("use {name};")) || code.contains(&format!("{name}!"));
    refused
        .filter(|(name, _)| plainly(name) || !source.names(name).is_empty())
        .map(|(name, _)| format!("names the crate `{name}`"))
        .collect()
}

#[test]
fn only_its_own_room_names_a_crate_that_has_one() {
    hold(
        crates,
        &[
            ("src/engine/state.rs", "use rusqlite::Connection;"),
            ("src/cli/up.rs", "fn f() { serde_saphyr::from_str(text) }"),
            ("src/supervisor/run.rs", "use serde_yaml;"),
            ("src/engine/mod.rs", "use tokio::sync::mpsc;"),
            ("substrates/subprocess/src/lib.rs", "use ilchul::engine::Engine;"),
            ("src/shim/run.rs", "use ilchul_subprocess::process;"),
        ],
    );
}

/// What the engine never names (house: no clock, files, threads, async, logging; J5: no
/// order that changes from run to run).
const IMPURE: &[&str] = &[
    "fs",
    "net",
    "process",
    "thread",
    "env",
    "io",
    "os",
    "path",
    "sync",
    "time::Instant",
    "time::SystemTime",
    "collections::HashMap",
    "collections::HashSet",
];

fn purity(source: &Source) -> Vec<String> {
    if source.room() != Some("engine") {
        return Vec::new();
    }
    let mut found: Vec<String> = source
        .names("std")
        .into_iter()
        .filter(|name| IMPURE.iter().any(|impure| begins_with(name, impure)))
        .map(|name| format!("names `std::{name}`"))
        .collect();
    for name in ["tokio", "tracing", "nix", "rustix", "uuid", "jiff", "tempfile", "regex"] {
        found.extend(source.names(name).iter().map(|path| format!("names `{name}::{path}`")));
    }
    let prints = ["println!", "eprintln!", "dbg!"].into_iter().filter(|word| source.bare.contains(word));
    found.extend(prints.map(|word| format!("prints: `{word}`")));
    found
}

#[test]
fn the_engine_has_no_clock_files_threads_async_logging_or_chance() {
    hold(
        purity,
        &[
            ("src/engine/state.rs", "use std::{collections::BTreeMap, fs::File};"),
            ("src/engine/timer.rs", "fn f() { std::time::Instant::now(); }"),
            ("src/engine/ready.rs", "use std::collections::HashMap;"),
            ("src/engine/mod.rs", "fn f() { tracing::info!(x) }\nuse tracing::info;"),
            ("src/engine/apply.rs", "fn f() { println!(\"{}\", 1) }"),
        ],
    );
}

/// Who else reads a clock, and why a deadline of the engine's wouldn't do.
const CLOCKS: &[(&str, &str)] = &[
    ("src/supervisor/clock.rs", "the clock"),
    ("src/journal/lock.rs", "how long ago another host touched the lock's file"),
    ("src/supervisor/stop.rs", "a blocking wait, on a thread of its own, for a session to end"),
    ("src/shim/clock.rs", "the shim's own: another process, which decides nothing by it"),
    ("src/host/pump.rs", "how long a pipe that others hold open was silent, here or behind ssh"),
    ("src/host/run.rs", "a blocking wait for a child, on this machine or behind ssh"),
    ("src/cli/", "short commands that block: for the lock, for an answer, for an end"),
    ("substrates/tmux-session/src/control.rs", "a blocking wait for an answer of tmux"),
    ("substrates/tmux-session/src/run.rs", "a blocking wait for an answer of tmux"),
    ("substrates/tmux-session/src/tree.rs", "a blocking wait for processes to end"),
    ("substrates/slurm/src/account.rs", "the age of an answer of accounting"),
    ("substrates/slurm/src/backoff.rs", "the pause between two queries, and after failures"),
    ("substrates/slurm/src/client.rs", "a blocking wait for an answer of Slurm"),
    (
        "substrates/slurm/src/look.rs",
        "how long the controller's word is held back: by its own answers, not the run's line",
    ),
    ("substrates/slurm/src/queue.rs", "the pause between two queries of the controller"),
    ("substrates/slurm/src/release.rs", "a blocking wait for a job to end"),
    ("substrates/slurm/src/submit.rs", "a blocking wait for a doubtful submit"),
    ("substrates/slurm/src/turn.rs", "the pause between two submits"),
    ("substrates/git-worktree/src/deadline.rs", "a blocking wait for git and its locks"),
    ("substrates/conformance/src/wait.rs", "the suite's one wait"),
];

const READINGS: &[&str] = &[
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "Zoned::now",
    "clock_gettime(",
    ".elapsed()",
    "now_v7",
];

fn clocks(source: &Source) -> Vec<String> {
    if CLOCKS.iter().any(|(path, _)| source.path.starts_with(path)) {
        return Vec::new();
    }
    let code = &source.bare;
    READINGS
        .iter()
        .filter(|word| code.contains(**word))
        .map(|word| format!("reads a clock: `{word}`"))
        .collect()
}

#[test]
fn the_clock_is_read_in_one_place_and_waits_that_need_their_own_are_listed() {
    hold(
        clocks,
        &[
            ("src/supervisor/run.rs", "fn f() { let now = Instant::now(); }"),
            ("src/engine/mod.rs", "fn f() { jiff::Timestamp::now() }"),
        ],
    );
    // An exception that isn't needed any more would let the next reading in.
    let sources = sources();
    for (path, _) in CLOCKS {
        let reads = |source: &Source| READINGS.iter().any(|word| source.bare.contains(word));
        let needed = sources.iter().any(|source| source.path.starts_with(path) && reads(source));
        assert!(needed, "`{path}` reads no clock any more");
    }
}

/// What may not stand in what is built: a crash is a bug, an error is a value.
fn crashes(source: &Source) -> Vec<String> {
    let code = &source.bare;
    let words = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];
    // The suite's promises are tests: failing is their work.
    let suite = source.path.starts_with("substrates/conformance/");
    let found = words.into_iter().filter(|word| !suite && code.contains(word));
    let mut found: Vec<String> = found.map(|word| format!("may crash: `{word}`")).collect();
    if code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe") {
        found.push("has an `unsafe` block".to_owned());
    }
    found
}

#[test]
fn nothing_that_is_built_is_unsafe_or_crashes_on_purpose() {
    hold(
        crashes,
        &[
            ("src/home.rs", "fn f() { g().unwrap(); }"),
            ("src/home.rs", "fn f() { g().expect(\"it\"); }"),
            ("substrates/subprocess/src/lib.rs", "fn f() { unsafe { g() } }"),
            (
                "src/home.rs",
                "#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn f() { panic!() }\nfn h() { panic!(\"x\") }",
            ),
        ],
    );
    assert!(read("Cargo.toml").contains("unsafe_code = \"forbid\""));
}

/// Words that, as a whole argument, take away what others may need (R1).
const VERBS: &[&str] = &[
    "remove",
    "prune",
    "-D",
    "--hard",
    "stash",
    "gc",
    "rm",
    "reset",
    "update-ref",
    "push",
    "reflog",
    "checkout",
    "switch",
    "repack",
    "maintenance",
    "-d",
    "-M",
    "--delete",
    "--force",
    "--reset",
    "kill-server",
    "kill-session",
    "kill-window",
    "kill-pane",
    "respawn-pane",
    "respawn-window",
    "killp",
    "killw",
    "respawnp",
    "respawnw",
];
/// Calls that do.
const CALLS: &[&str] = &[
    "remove_dir_all",
    "remove_dir(",
    ".prune(",
    "RemoveDir",
    ".delete(",
    ".checkout_",
    ".stash_",
    "REMOVEDIR",
];

fn verbs(source: &Source) -> Vec<String> {
    let code = &source.bare;
    let calls = CALLS.iter().filter(|call| code.contains(**call)).map(|call| format!("calls `{call}`"));
    let line = |text: &String| {
        let text = text.trim_start();
        ["rm ", "git worktree remove", "git worktree prune", "git stash", "git clean", "git branch -D"]
            .iter()
            .any(|start| text.starts_with(start))
    };
    let words = literals(&source.code)
        .into_iter()
        .filter(|text| VERBS.contains(&text.as_str()) || line(text))
        .map(|text| format!("has the word `{text}`"));
    calls.chain(words).collect()
}

#[test]
fn r1_no_source_has_a_verb_that_deletes_worktrees_branches_or_sessions() {
    hold(
        verbs,
        &[
            ("src/supervisor/stop.rs", "fn f() { std::fs::remove_dir_all(path) }"),
            ("substrates/git-worktree/src/git.rs", "fn f() { git(&[\"worktree\", \"remove\", path]) }"),
            ("substrates/git-worktree/src/git.rs", "fn f() { worktree.prune(None) }"),
            ("substrates/git-worktree/src/git.rs", "fn f() { git(&[\"branch\", \"-D\", name]) }"),
            ("substrates/git-worktree/src/git.rs", "fn f() { git(&[\"branch\", \"--delete\", name]) }"),
            ("substrates/git-worktree/src/head.rs", "fn f() { repo.checkout_head(None) }"),
            ("substrates/tmux-session/src/run.rs", "fn f() { tmux(&[r\"kill-session\"]) }"),
            ("src/supervisor/stop.rs", "fn f() { shell(\"rm -rf tree\") }"),
        ],
    );
}

/// The files below a target's root that some `mod` line leads to, the roots with them.
fn reached(sources: &[Source]) -> BTreeSet<&str> {
    let mut open: Vec<&Source> = sources.iter().filter(|source| source::is_root(&source.path)).collect();
    let mut reached = BTreeSet::new();
    while let Some(source) = open.pop() {
        if reached.insert(source.path.as_str()) {
            let declared = source::declared(source);
            open.extend(sources.iter().filter(|other| declared.contains(&other.path)));
        }
    }
    reached
}

/// What is compiled by nothing, and so proves nothing.
fn dead(sources: &[Source]) -> Vec<&str> {
    let reached = reached(sources);
    sources.iter().map(|source| source.path.as_str()).filter(|path| !reached.contains(path)).collect()
}

#[test]
fn every_source_is_compiled_into_some_target() {
    let sample = [
        ("tests/input/main.rs", "mod world;\n// mod read;\n#[path = \"../shared/wait.rs\"]\nmod wait;"),
        ("tests/input/world.rs", "pub mod tools;"),
        ("tests/input/world/tools.rs", ""),
        ("tests/input/wait.rs", ""),
        ("tests/shared/wait.rs", ""),
        ("tests/input/read/mod.rs", "mod story;"),
        ("tests/input/read/story.rs", ""),
        ("src/lib.rs", "pub mod engine;"),
        ("src/engine/mod.rs", "#[cfg(test)]\nmod tests;"),
        ("src/engine/tests.rs", ""),
        ("src/engine/tests/left.rs", ""),
    ];
    let sample = sample.map(|(path, text)| Source::sample(path, text));
    let refused = [
        "tests/input/wait.rs",
        "tests/input/read/mod.rs",
        "tests/input/read/story.rs",
        "src/engine/tests/left.rs",
    ];
    assert_eq!(dead(&sample), refused);
    assert_eq!(dead(&sources()), [""; 0], "no `mod` line leads there");
}

/// From here on a file is said to be long.
const LONG: usize = 350;
/// And here it is too long.
const TOO_LONG: usize = 500;

fn size(source: &Source) -> Vec<String> {
    let lines =
        if is_test_file(&source.path) { 0 } else { source::without_tests(&source.text).lines().count() };
    if lines > LONG {
        println!("long: {} has {lines} lines without tests", source.path);
    }
    (lines > TOO_LONG)
        .then(|| format!("{lines} lines without tests, at most {TOO_LONG}"))
        .into_iter()
        .collect()
}

#[test]
fn a_file_has_at_most_500_lines_without_its_tests() {
    let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(400), "\n".repeat(400));
    assert!(size(&Source::sample("src/home.rs", &tests)).is_empty());
    hold(size, &[("src/home.rs", &"\n".repeat(501))]);
}

/// A crate's root may take its doc from a file instead.
fn heading(source: &Source) -> Vec<String> {
    let root = source.path.ends_with("src/lib.rs") && source.text.starts_with("#![doc = include_str!(");
    if root || source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec!["doesn't open with `//!`: what it is for, what it leaves out".to_owned()]
}

#[test]
fn every_file_opens_by_saying_what_it_is_for() {
    hold(heading, &[("src/home.rs", "use std::fs;\n//! Too late."), ("src/lib.rs", "pub mod a;")]);
    for folder in ["scripts", ".ci"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let mut lines = text.lines();
            assert!(lines.next().is_some_and(|line| line.starts_with("#!")), "{}", path.display());
            assert!(lines.next().is_some_and(|line| line.starts_with("# ")), "{}", path.display());
        }
    }
}

/// The names in one section of a manifest.
fn section(manifest: &str, name: &str) -> BTreeSet<String> {
    let header = format!("[{name}]");
    let lines = manifest.lines().skip_while(|line| line.trim() != header).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().trim_end_matches(".workspace").to_owned())
        .collect()
}

#[test]
fn a_substrate_depends_on_the_contract_and_on_nothing_else_of_ours() {
    let ours = |manifest: &str, of: &str| -> Vec<String> {
        section(manifest, of).into_iter().filter(|name| name.starts_with("ilchul")).collect()
    };
    let sample =
        "[dependencies]\nilchul = { path = \"../..\" }\nnix = { workspace = true }\n[lints]\nilchul-x = 1\n";
    assert_eq!(ours(sample, "dependencies"), ["ilchul"]);
    assert_eq!(section(&read("substrates/contract/Cargo.toml"), "dependencies"), BTreeSet::new());
    for crate_name in ["conformance", "git-worktree", "subprocess", "tmux-session"] {
        let manifest = read(&format!("substrates/{crate_name}/Cargo.toml"));
        assert_eq!(ours(&manifest, "dependencies"), ["ilchul-substrate"], "{crate_name}");
        let tests = ours(&manifest, "dev-dependencies");
        assert!(tests.iter().all(|name| name == "ilchul-conformance"), "{crate_name}: {tests:?}");
        assert!(manifest.contains("[lints]\nworkspace = true"), "{crate_name} doesn't take the lints");
    }
}

#[test]
fn every_dependency_is_used_and_has_its_reason_in_the_architecture() {
    let architecture = read("src/ARCHITECTURE.md");
    let sources = sources();
    let used = |name: &str| {
        let name = name.replace('-', "_");
        let names = |source: &Source| {
            let code = &source.bare;
            code.contains(&format!("{name}::")) || code.contains(&format!("{name}!"))
        };
        sources.iter().filter(|source| source.path.starts_with("src/")).any(names)
    };
    let dependencies = section(&read("Cargo.toml"), "dependencies");
    assert!(dependencies.contains("rusqlite") && !used("a-crate-that-nobody-names"));
    let unused: Vec<&String> = dependencies.iter().filter(|name| !used(name)).collect();
    assert!(unused.is_empty(), "nobody names {unused:?}");
    let silent = |name: &&String| !architecture.contains(&format!("`{name}`"));
    let silent: Vec<&String> = dependencies.iter().filter(silent).collect();
    assert!(silent.is_empty(), "src/ARCHITECTURE.md gives no reason for {silent:?}");
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_place_that_the_documents_name_is_there() {
    let places = |text: &str| -> Vec<String> {
        let is_place = |word: &&str| {
            ["src/", "substrates/", "tests/", "scripts/", "fixtures/", ".cargo/", ".ci/"]
                .iter()
                .any(|start| word.starts_with(start))
                && !word.contains([' ', '*', '<', '{'])
        };
        let missing = |word: &&str| !root().join(word).exists();
        quoted(text).filter(is_place).filter(missing).map(str::to_owned).collect()
    };
    assert_eq!(places("see `src/nowhere.rs` and `src/main.rs`"), ["src/nowhere.rs"]);
    for document in ["README.md", "src/ARCHITECTURE.md", "substrates/README.md"] {
        assert_eq!(places(&read(document)), [""; 0], "{document}");
    }
}

/// The commands that `ilchul --help` lists.
fn commands() -> BTreeSet<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_ilchul")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let lines =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The commands that a document tells its readers to run, in code of either kind.
fn told(text: &str) -> BTreeSet<String> {
    let typed = text.lines().filter(|line| line.starts_with("$ "));
    let word = |rest: &str| {
        rest.split(|c: char| !c.is_ascii_lowercase() && c != '-').next().unwrap_or_default().to_owned()
    };
    let words = quoted(text).chain(typed).flat_map(|code| code.split("ilchul ").skip(1).map(word));
    words.filter(|word| !word.is_empty() && !word.starts_with('-')).collect()
}

#[test]
fn the_readme_tells_of_every_command_and_of_no_other() {
    let sample = "`ilchul up x` ilchul at `ilchul --json`\n$ ilchul fly\n```sh\nilchul attach\n```\n";
    assert_eq!(told(sample), ["attach", "fly", "up"].map(str::to_owned).into());
    let mut known = commands();
    assert!(known.contains("up") && known.contains("evidence"), "{known:?}");
    known.remove("help");
    assert_eq!(told(&read("README.md")), known);
}

#[test]
fn s26_what_is_released_counts_without_wrapping_and_rests_on_checked_crates_alone() {
    let manifest = read("Cargo.toml");
    let release = manifest.split("[profile.release]").nth(1).and_then(|rest| rest.split("\n[").next());
    assert!(release.is_some_and(|profile| profile.contains("overflow-checks = true")), "{release:?}");
    assert!(!manifest.contains("overflow-checks = false"));
    let policy = read(".cargo/deny.toml");
    for rule in ["unmaintained = \"all\"", "yanked = \"deny\"", "ignore = []", "unknown-git = \"deny\""] {
        assert!(policy.contains(rule), "{rule}");
    }
    // A comment there names the one exception; what is allowed stands in quotes.
    let allowed = policy.split("allow = [").nth(1).and_then(|rest| rest.split(']').next());
    let allowed = allowed.expect("a list of licences");
    assert!(
        allowed.contains("\"MIT\"") && !["GPL", "SSPL", "BUSL"].iter().any(|word| allowed.contains(word))
    );
}

/// The laws on which tests stand, by the name that begins a test's own.
const LAWS: &[(&str, &[&str])] = &[
    ("law_", &["1", "2", "3"]),
    (
        "l",
        &[
            "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17",
            "18", "19", "20", "21",
        ],
    ),
    ("j", &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "11a", "11b", "11c", "12"]),
    ("r", &["1", "2", "3", "4", "4a", "4b", "5"]),
    ("e", &["1", "2", "3", "4", "5", "6"]),
    ("d", &["1", "2", "3", "4", "5", "6", "7", "8", "9"]),
];

/// The laws that a test's name begins with: `l2_l6_ordinals_go_on` is about two.
fn laws_of(name: &str) -> Vec<String> {
    let known = |word: &str| {
        LAWS.iter().any(|(kind, numbers)| {
            word.strip_prefix(kind.trim_end_matches('_')).is_some_and(|number| numbers.contains(&number))
        })
    };
    if let Some(number) = name.strip_prefix("law_").and_then(|rest| rest.split('_').next()) {
        return vec![format!("law_{number}")];
    }
    name.split('_').take_while(|word| known(word)).map(str::to_owned).collect()
}

#[test]
fn every_law_has_a_test_that_names_it() {
    assert_eq!(laws_of("l2_l6_ordinals_go_on"), ["l2", "l6"]);
    assert_eq!(laws_of("law_2_no_evidence"), ["law_2"]);
    assert!(laws_of("a_law_1").is_empty());
    let mut named = BTreeSet::new();
    for source in sources() {
        for test in source.text.split("#[test]").skip(1) {
            let name = test.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap_or_default();
            named.extend(laws_of(name));
        }
    }
    let all =
        LAWS.iter().flat_map(|(kind, numbers)| numbers.iter().map(move |number| format!("{kind}{number}")));
    let unnamed: Vec<String> = all.filter(|law| !named.contains(law)).collect();
    assert!(unnamed.is_empty(), "no test names {unnamed:?}");
}
