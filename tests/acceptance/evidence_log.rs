//! `log`: what a worker printed or wrote while it worked, true and forged.

use super::evidence::{refuted, reporter, verified};
use super::world::World;

const OF_WORKER: &str = "[ { log: { pattern: 'ok\\. [1-9]' } } ]";

fn of_file(path: &str) -> String {
    format!("[ {{ log: {{ pattern: 'ok\\. [1-9]', source: {path} }} }} ]")
}

#[test]
fn what_the_worker_printed_is_found_on_either_stream() {
    verified("echo 'test result: ok. 3 passed'", OF_WORKER);
    verified(
        "echo 'test result: ok. 3 passed' >&2",
        "[ { log: { pattern: 'ok\\. [1-9]', source: worker } } ]",
    );
    verified("printf '\\033[32mok. 3\\033[0m \\377\\n'", OF_WORKER);
}

#[test]
fn law_2_a_suite_that_ran_no_test_does_not_complete_a_task_that_asked_for_one() {
    refuted(
        "echo 'test result: ok. 0 passed'",
        OF_WORKER,
        "log: the worker's output doesn't match `ok\\. [1-9]`",
    );
    refuted("true", OF_WORKER, "the worker's output doesn't match");
}

#[test]
fn what_was_written_elsewhere_or_only_claimed_is_no_output() {
    refuted("echo 'ok. 3' > out.txt", OF_WORKER, "the worker's output doesn't match");
    refuted("echo 'ok. 3'", &of_file("out.txt"), "log: `out.txt` doesn't exist");
    let claim = "{\"kind\":\"log\",\"path\":\"out.txt\",\"command\":\"ok. 3\"}";
    refuted(&reporter(claim), OF_WORKER, "the worker's output doesn't match");
}

#[test]
fn e4_a_log_in_the_tree_must_be_new_whole_and_inside() {
    let out = of_file("out.txt");
    verified("echo 'ok. 3' > out.txt", &out);
    refuted("echo 'ok. 0' > out.txt", &out, "`out.txt` doesn't match `ok\\. [1-9]`");
    refuted("echo 'ok. 3' > x; ln -s x out.txt", &out, "leads through a link");
    refuted(
        "mkdir real; ln -s real way; echo 'ok. 3' > real/out.txt",
        &of_file("way/out.txt"),
        "leads through a link",
    );
    refuted("mkfifo out.txt", &out, "isn't a regular file");
    let old = "[ { log: { pattern: repository, source: README } } ]";
    refuted("true", old, "`README` wasn't changed since the dispatch");
    refuted("cat README > x; mv x README", old, "is the same as in the task's base");
    verified("echo more >> README", old);
}

#[test]
fn e4_a_claimed_hash_of_a_log_must_be_the_real_one() {
    let evidence = "[ { log: { pattern: x, source: out.txt } } ]";
    let claim = |hash: &str| format!("{{\"kind\":\"log\",\"path\":\"out.txt\",\"sha256\":\"{hash}\"}}");
    refuted(&reporter(&claim(&"0".repeat(64))), evidence, "log: the report claims SHA-256 000000");
    // sha256 of "x\n".
    let honest = claim("73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac");
    verified(&reporter(&honest), evidence);
}

#[test]
fn e5_what_an_older_attempt_printed_proves_nothing_of_the_next() {
    let world = World::with(&format!(
        "tasks:\n  a:\n    run: 'test $ILCHUL_ATTEMPT != 1 || {{ echo ok. 3; exit 1; }}'\n    retries: 1\n    \
         evidence: [ {{ exit: 0 }}, {} ]\n",
        OF_WORKER.trim_matches(['[', ']', ' '])
    ));
    world.up().exits(3);
    assert!(world.told("a").starts_with("failed (refuted: log: the worker's output"), "{}", world.told("a"));
}

#[test]
fn the_record_names_line_and_hash_and_the_text_outlives_the_file() {
    let world = World::with(
        "tasks: { a: { run: 'echo one > out.txt; echo ok >> out.txt', evidence: [ { log: { pattern: ok, source: out.txt } } ] } }",
    );
    world.up().exits(0);
    let facts = world.state().tasks[0].evidence[0].facts.clone();
    assert_eq!(facts.get("line").unwrap(), 2);
    assert_eq!(
        (facts.get("source").unwrap(), facts.get("pattern").unwrap()),
        (&"out.txt".into(), &"ok".into())
    );
    let sha256 = facts.get("sha256").unwrap().as_str().unwrap().to_owned();
    std::fs::write(world.tree("a.1").join("out.txt"), "tampered\n").unwrap();
    let blob = world.home().blobs().join(&sha256[..2]).join(&sha256[2..]);
    assert_eq!(std::fs::read_to_string(blob).unwrap(), "one\nok\n");
}

#[test]
fn in_a_tmux_window_the_same_output_is_found() {
    let world =
        World::with("tasks: { a: { run: 'echo ok. 3', evidence: [ { log: { pattern: 'ok\\. [1-9]' } } ] } }");
    world.run(&["up", "--session", "tmux"]).exits(0);
    assert_eq!(world.told("a"), "completed");
}
