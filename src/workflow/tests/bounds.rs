//! What is large, hostile or no YAML at all: refused or read in bounded time, never a panic.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::super::{MAX_BYTES, ReadError, load, read, render};
use super::{bad, fixtures, good};

/// Far above what an unoptimised build needs on a busy machine, far below anything quadratic.
const PATIENCE: Duration = Duration::from_secs(60);

fn within<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    let taken = begun.elapsed();
    assert!(taken < PATIENCE, "{what} took {taken:?}");
    result
}

fn chain(count: usize) -> String {
    let mut text = String::from("version: 1\ntasks:\n");
    for index in 0..count {
        let needs = if index == 0 { String::new() } else { format!(", needs: [t{}]", index - 1) };
        let base = if index > 1 { format!(", base: {{ task: t{} }}", index - 2) } else { String::new() };
        let _ =
            writeln!(text, "  t{index}: {{ run: printf {index}{needs}{base}, evidence: [ {{ exit: 0 }} ] }}");
    }
    text
}

#[test]
fn ten_thousand_tasks_load_in_bounded_time() {
    let loaded = within("a chain", || good(&chain(10_000)));
    assert_eq!(loaded.workflow.tasks.len(), 10_000);
}

#[test]
fn bases_far_up_a_chain_are_found_in_bounded_time() {
    let mut text = String::from("version: 1\ntasks:\n");
    for index in 0..4_000 {
        let needs = if index == 0 { String::new() } else { format!(", needs: [t{}]", index - 1) };
        let base = if index > 500 { format!(", base: {{ task: t{} }}", index - 500) } else { String::new() };
        let _ = writeln!(text, "  t{index}: {{ run: x{needs}{base} }}");
    }
    within("far bases", || good(&text));
    let _ = writeln!(text, "  last: {{ run: x, needs: [t100], base: {{ task: t101 }} }}");
    assert_eq!(bad(&text).problems[0].message, "`last` starts from `t101`, but doesn't need it");
}

#[test]
fn a_cycle_of_a_thousand_is_printed_once() {
    let mut text = String::from("version: 1\ntasks:\n");
    for index in 0..1000 {
        let _ = writeln!(text, "  t{index}: {{ run: x, needs: [t{}] }}", (index + 1) % 1000);
    }
    let errors = within("a cycle", || bad(&text));
    assert_eq!(errors.problems.len(), 1);
    let message = &errors.problems[0].message;
    assert!(message.starts_with("tasks wait for each other: t0 -> t1 -> t2 -> "), "{message:.80}");
    assert!(message.ends_with(" -> t998 -> t999 -> t0"));
}

#[test]
fn a_cycle_of_twenty_thousand_is_found_and_cut_short() {
    let mut text = String::from("version: 1\ntasks:\n");
    for index in 0..20_000 {
        let _ = writeln!(text, "  t{index}: {{ run: x, needs: [t{}] }}", (index + 1) % 20_000);
    }
    let errors = within("a long cycle", || bad(&text));
    assert!(errors.problems[0].message.contains(" more) -> t0"));
}

#[test]
fn a_chain_of_twenty_thousand_overflows_no_stack() {
    assert_eq!(within("a long chain", || good(&chain(20_000))).workflow.tasks.len(), 20_000);
}

#[test]
fn more_tasks_than_allowed_are_refused_with_the_limit() {
    let mut text = String::from("version: 1\ntasks:\n");
    for index in 0..200_001 {
        let _ = writeln!(text, "  t{index}: {{ run: x }}");
    }
    let errors = within("too many tasks", || bad(&text));
    assert_eq!(errors.problems[0].message, "200001 tasks: a workflow has at most 200000");
}

#[test]
fn a_flood_of_problems_is_counted_and_not_printed() {
    let mut text = String::from("version: 1\ntasks:\n");
    for index in 0..20_000 {
        let _ = writeln!(text, "  t{index}: {{ run: x, needs: [u{index}] }}");
    }
    let errors = within("a flood", || bad(&text));
    assert_eq!((errors.problems.len(), errors.more), (100, 19_900));
    assert!(render(&errors, false, 80).ends_with("... and 19900 more\n"));
}

#[test]
fn bombs_fail_quickly() {
    let brackets = "[".repeat(200_000);
    within("brackets", || bad(&brackets));
    within("braces", || bad(&"{".repeat(200_000)));
    within("maps", || bad(&"a: {".repeat(50_000)));
    within("dashes", || bad(&"- ".repeat(100_000)));
    within("question marks", || bad(&"? ".repeat(100_000)));
    within("closed", || bad(&format!("version: {}{}", "[".repeat(300), "]".repeat(300))));
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{inner}]");
    }
    let errors = within("aliases", || bad(&bomb));
    assert!(errors.problems[0].message.contains("counting what aliases repeat"));
    let deep = [
        ("(", "{{ ", "(", " }}"),
        ("if", "", "{% if true %}", ""),
        ("brackets", "{{ ", "[", " }}"),
        ("not", "{{ ", "not ", " }}"),
    ];
    for (what, before, repeated, after) in deep {
        let prompt = format!("{before}{}{after}", repeated.repeat(50_000));
        let agents = "agents: { m: { adapter: command, argv: [x] } }";
        let text = format!(
            "version: 1\n{agents}\ntasks: {{ a: {{ agent: m, prompt: '{prompt}', evidence: [exit: 0] }} }}\n"
        );
        within(what, || bad(&text));
    }
    within("anchors", || bad(&"- &a x\n".repeat(100_000)));
}

#[test]
fn entrants_that_multiply_are_refused_before_they_are_made() {
    // Sixty-four of sixty-four of sixty-four: a quarter of a million bodies in two hundred bytes.
    let mut each = "{ run: x }".to_owned();
    for _ in 0..3 {
        each = format!("{{ tournament: {{ entrants: 64, each: {each}, judge: {{ run: x }} }} }}");
    }
    let tasks: String = (0..50).map(|index| format!("  t{index}: {each}\n")).collect();
    let errors = within("entrants", || bad(&format!("version: 1\ntasks:\n{tasks}")));
    let said: Vec<&str> = errors.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(said, ["the entrants of this file take more than 16 MiB, each written out"]);
    // The same by variants, each of which is a tournament of its own.
    let mut each = "{ run: x }".to_owned();
    for _ in 0..3 {
        let variants = "{ timeout: 1m }, ".repeat(64);
        let body = if each.contains("tournament") { "{ env: ~ }" } else { &each };
        let variants = if each.contains("tournament") { format!("{each}, ").repeat(8) } else { variants };
        each = format!(
            "{{ tournament: {{ entrants: [ {variants} ], each: {}, judge: {{ run: x }} }} }}",
            if body == "{ env: ~ }" { "{}" } else { body }
        );
    }
    let tasks: String = (0..50).map(|index| format!("  t{index}: {each}\n")).collect();
    let errors = within("variants", || bad(&format!("version: 1\ntasks:\n{tasks}")));
    assert_eq!(errors.problems.len(), 1);
    // A long prompt sixty-four times over.
    let long = "x".repeat(1 << 20);
    let text = format!(
        "version: 1\ntasks: {{ a: {{ tournament: {{ entrants: 64, each: {{ run: {long} }}, judge: {{ run: x }} }} }} }}\n"
    );
    assert_eq!(within("a long entrant", || bad(&text)).problems.len(), 1);
}

#[test]
fn wide_branches_and_reductions_load_in_bounded_time() {
    let mut text = String::from("version: 1\ntasks:\n");
    let ids: Vec<String> = (0..20_000).map(|index| format!("t{index}")).collect();
    for id in &ids {
        let _ = writeln!(text, "  {id}: {{ run: x }}");
    }
    let all = ids.join(", ");
    let _ = writeln!(text, "  sum: {{ reduce: {{ run: x, over: [{all}] }} }}");
    let _ = writeln!(
        text,
        "  pick: {{ classify: {{ by: {{ run: x }}, branches: {{ a: &all [{all}], b: *all }} }} }}"
    );
    let tasks = within("wide control tasks", || good(&text)).workflow.tasks;
    assert_eq!(tasks[20_000].needs.len(), 20_000);
    assert_eq!(tasks[19_999].needs[0].task, "pick");
}

#[test]
fn one_megabyte_of_text_is_cut_short_in_messages() {
    let long = "x".repeat(1 << 20);
    for text in [
        format!("version: 1\nname: {long}\ntasks: {{ a: {{ run: x }} }}\n"),
        format!("version: 1\ntasks:\n  {long}:\n    run: x\n"),
        format!(
            "version: 1\ntasks: {{ a: {{ run: x, when: '{long}', retries: {long}, needs: [{long}] }} }}\n"
        ),
    ] {
        let drawn = within("a long text", || render(&bad(&text), false, 80));
        assert!(drawn.len() < 8_000, "{} bytes", drawn.len());
    }
    // A long command is no mistake.
    good(&format!("version: 1\ntasks: {{ a: {{ run: '{long}' }} }}\n"));
}

#[test]
fn only_regular_files_are_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("a.yaml");
    fs::write(&file, "version: 1\n").expect("a file");
    assert_eq!(read(&file).expect("bytes"), b"version: 1\n");
    let link = dir.path().join("link.yaml");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    assert_eq!(read(&link).expect("bytes"), b"version: 1\n");

    let missing = dir.path().join("none.yaml");
    let error = read(&missing).expect_err("refused");
    assert!(matches!(error, ReadError::Missing { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("find workflow `{}`", missing.display()));
    assert!(error.hint().contains("ilchul init"));

    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let refused = |path: &std::path::Path| within("a read", || read(path).expect_err("refused")).to_string();
    assert!(refused(&fifo).ends_with("it is a FIFO, not a file"));
    assert!(refused(dir.path()).ends_with("it is a folder, not a file"));
    assert!(refused(std::path::Path::new("/dev/zero")).ends_with("it is a device, not a file"));
    let socket = dir.path().join("s");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    assert!(refused(&socket).ends_with("it is a socket, not a file"));
    let looped = dir.path().join("loop");
    std::os::unix::fs::symlink(&looped, &looped).expect("a link");
    let error = read(&looped).expect_err("refused");
    assert!(std::error::Error::source(&error).is_some(), "{error:?}");
}

#[test]
fn files_are_read_up_to_sixteen_megabytes() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.yaml");
    let file = fs::File::create(&path).expect("a file");
    file.set_len(MAX_BYTES).expect("a sparse file");
    assert_eq!(read(&path).expect("bytes").len() as u64, MAX_BYTES);
    file.set_len(MAX_BYTES + 1).expect("a sparse file");
    let error = read(&path).expect_err("refused");
    assert!(error.to_string().ends_with("it is larger than 16 MiB"), "{error}");
}

/// Loads, and draws what is wrong: neither may panic, and refusals have words and a place.
fn try_bytes(bytes: &[u8]) {
    if let Err(errors) = load("x.yaml", bytes) {
        assert!(!errors.problems.is_empty());
        for problem in &errors.problems {
            assert!(problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty());
            assert!(problem.span.0 <= bytes.len().max(1), "{problem:?}");
        }
        let drawn = render(&errors, false, 80);
        assert!(!drawn.contains(|it: char| it.is_control() && it != '\n'), "{drawn:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        try_bytes(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(text in r#"([-:?\[\]{},#&*!|>'"%@` \n\t~0-9a-z]|tasks|version: 1|run|<<|é|\r\n){0,60}"#) {
        try_bytes(text.as_bytes());
    }

    #[test]
    fn no_damage_to_a_good_file_makes_it_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), cut in 0_usize..6, put in any::<Vec<u8>>()) {
        let paths = fixtures("valid");
        let mut bytes = fs::read(which.get(&paths)).expect("a fixture");
        let at = at.index(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put.into_iter().take(4));
        try_bytes(&bytes);
    }
}

#[test]
fn a_cluster_has_longer_times_unless_the_file_says_otherwise() {
    use super::super::SessionKind;
    use std::time::Duration;
    let load = |text: &str| super::super::load("x.yaml", text.as_bytes()).unwrap().workflow;
    let usual = "version: 1\ntasks: { a: { run: x } }\n";
    let there = load(usual).hosted_by(SessionKind::Slurm);
    assert_eq!(there.heartbeat.every, Duration::from_secs(10));
    assert_eq!(
        (there.limits.ready, there.limits.start),
        (Duration::from_secs(180), Duration::from_secs(180))
    );
    assert_eq!(load(usual).hosted_by(SessionKind::Tmux), load(usual));
    let said = "version: 1\nheartbeat: { every: 3s }\nlimits: { ready: 5s }\ntasks: { a: { run: x } }\n";
    let there = load(said).hosted_by(SessionKind::Slurm);
    assert_eq!((there.heartbeat.every, there.limits.ready), (Duration::from_secs(3), Duration::from_secs(5)));
}
