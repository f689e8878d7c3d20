//! `review`: another task's verdict on a head, true and forged.

use super::evidence::{COMMIT, reporter};
use super::world::World;

/// How a reviewer answers.
fn says(verdict: &str, summary: &str) -> String {
    format!("@I report --status done --summary \"{summary}\" --output verdict={verdict}")
}

/// A task whose work `look` reviews; the reviewer's command sees the program as `@I`.
fn reviewed(work: &str, retries: u32, look: &str) -> World {
    let look = look.replace("@I", env!("CARGO_BIN_EXE_ilchul")).replace('\n', "\n      ");
    let work = work.replace('\n', "\n      ");
    World::with(&format!(
        "tasks:\n  a:\n    run: |\n      {work}\n    retries: {retries}\n    \
         evidence: [ {{ exit: 0 }}, {{ diff: {{}} }}, {{ review: look }} ]\n  look:\n    run: |\n      {look}\n"
    ))
}

const WORK: &str = "echo good > out.txt";

/// It fails, for this reason.
fn refuted(work: &str, look: &str, reason: &str) {
    let world = reviewed(work, 0, look);
    world.up().exits(3);
    let told = world.told("a");
    assert!(told.starts_with("failed (") && told.contains(&format!("review: {reason}")), "{told}");
}

#[test]
fn a_reviewer_sees_the_head_and_what_it_says_is_kept_with_it() {
    let look = format!(
        "test \"$(cat out.txt)\" = good && git diff --quiet HEAD && test $(git rev-parse HEAD) = $ILCHUL_BASE\n\
         cp \"$ILCHUL_INPUTS\" seen.json\n{}",
        says("pass", "reads well")
    );
    let world = reviewed(&format!("{WORK} && {COMMIT}"), 0, &look);
    world.up().exits(0);
    let state = world.state();
    let item = &state.tasks[0].evidence[2];
    assert_eq!(item.reason, "`look` says pass: \"reads well\"");
    let head = state.tasks[0].head.clone().unwrap();
    assert_eq!(item.facts.get("commit").unwrap(), &*head);
    assert_eq!(state.workers["look.1"].start, head);
    let seen: serde_json::Value =
        serde_json::from_slice(&std::fs::read(world.tree("look.1").join("seen.json")).unwrap()).unwrap();
    assert_eq!((&seen["reviews"]["task"], &seen["reviews"]["head"]), (&"a".into(), &head.into()));
    assert_eq!(seen["reviews"]["base"], world.head());
    let shown = world.run(&["evidence", "a"]).exits(0).stdout;
    assert!(shown.contains("verified  review: `look` says pass: \"reads well\""), "{shown}");
    world.run(&["evidence", "a", "--recheck"]).exits(0);
}

#[test]
fn forged_an_answer_that_is_no_pass_refutes() {
    refuted(WORK, &says("fail", "too loud"), "`look` says fail: \"too loud\"");
    refuted(WORK, &says("ok", "fine"), "`look` answered \"\"ok\"\", which is neither pass nor fail");
    refuted(WORK, "true", "`look` gave no verdict: `outputs.verdict` is missing");
    refuted(WORK, &format!("{}; exit 1", says("pass", "x")), "`look` gave no verdict, it is failed: ");
}

#[test]
fn forged_a_review_that_the_author_claims_is_none() {
    let claim = "{\"kind\":\"review\",\"path\":\"out.txt\"}";
    refuted(&reporter(claim), "true", "`look` gave no verdict");
    let own = format!("{WORK}; {}", says("pass", "trust me")).replace("@I", env!("CARGO_BIN_EXE_ilchul"));
    refuted(&own, &says("fail", "no"), "`look` says fail: \"no\"");
}

#[test]
fn e2_forged_a_reviewer_that_changes_what_it_judges_shows_nothing_and_reaches_nobody() {
    let pass = says("pass", "now it is fine");
    refuted(WORK, &format!("echo bad > README\n{pass}"), "`look` changed what it was given: README");
    let committed = format!("echo better > README && {COMMIT}\n{pass}");
    refuted(WORK, &committed, "`look` looked at another commit than the head");
    let world = reviewed(WORK, 0, &format!("echo notes > notes.txt\n{pass}"));
    world.up().exits(0);
    let head = world.state().tasks[0].head.clone().unwrap();
    let files = world.git(&["ls-tree", "-r", "--name-only", &head]);
    assert!(files.contains("out.txt") && !files.contains("notes.txt"), "{files}");
}

#[test]
fn e5_the_next_attempt_is_reviewed_anew_and_reads_what_the_first_review_said() {
    let look = format!(
        "if grep -q better out.txt; then {}; else {}; fi",
        says("pass", "fixed"),
        says("fail", "make it better")
    );
    let work = "if test -e \"$ILCHUL_MAIL/refuted.md\"; then grep -o 'make it better' \"$ILCHUL_MAIL/refuted.md\" > out.txt\n\
                else echo draft > out.txt; fi";
    let world = reviewed(work, 1, &look);
    world.up().exits(0);
    let state = world.state();
    assert_eq!((state.tasks[0].attempt, state.tasks[1].attempt), (2, 2));
    assert_eq!(state.workers["look.2"].start, state.tasks[0].head.clone().unwrap());
    let kinds: Vec<String> = world.events().iter().map(ilchul::engine::event::Event::kind).collect();
    assert!(kinds.iter().any(|kind| kind == "task.pending"), "{kinds:?}");
}

#[test]
fn why_a_task_waits_names_its_reviewer_and_a_killed_supervisor_asks_no_second_one() {
    let look = format!("while ! test -e $W/go; do sleep 0.05; done\n{}", says("pass", "x"));
    let world = reviewed(WORK, 0, &look);
    let up = world.start_up();
    world.await_task("look", "in_progress");
    let why = world.run(&["why", "a"]).exits(0).stdout;
    assert!(
        why.contains("the review by `look`, which is in_progress") && why.contains("look  in_progress"),
        "{why}"
    );
    let status = world.data(&["status"]);
    assert_eq!(status["tasks"][0]["reason"], "waits: the review by `look`, which is in_progress");
    up.kill();
    let up = world.start_up();
    world.touch("go");
    up.wait().exits(0);
    assert_eq!((world.told("a"), world.state().tasks[1].attempt), ("completed".to_owned(), 1));
}
