//! `no_change`: a report that nothing had to be done, true and forged.

use super::evidence::COMMIT;
use super::world::World;

const ALLOWED: &str = "[ { exit: 0 }, { diff: { allow_none: true } } ]";

/// A task that reports `no_change` after this work.
fn unchanged(work: &str, reason: &str, evidence: &str) -> World {
    let ilchul = env!("CARGO_BIN_EXE_ilchul");
    World::with(&format!(
        "tasks:\n  a:\n    run: |\n      {}\n      {ilchul} report --status no_change --summary nothing {reason}\n    \
         evidence: {evidence}\n",
        work.replace('\n', "\n      ")
    ))
}

fn refuted(work: &str, reason: &str, evidence: &str, why: &str) {
    let world = unchanged(work, reason, evidence);
    world.up().exits(3);
    let told = world.told("a");
    assert!(told.starts_with(&format!("failed (refuted: no_change: {why}")), "{told}");
    let shown = world.run(&["evidence", "a"]).exits(0).stdout;
    assert!(shown.contains(&format!("Refuted as a whole: no_change: {why}")), "{shown}");
    assert_eq!(
        world.data(&["evidence", "a"])["refuted"].as_str().map(|text| text.starts_with("no_change: ")),
        Some(true)
    );
}

#[test]
fn a_reason_and_an_unmoved_head_complete_a_task_that_allows_it_and_the_record_has_both() {
    for evidence in [ALLOWED, "[ { exit: 0 } ]"] {
        let world = unchanged("true", "--reason 'it was fixed upstream'", evidence);
        world.up().exits(0);
        let shown = world.run(&["evidence", "a"]).exits(0).stdout;
        assert!(shown.contains("no_change") && shown.contains("It was fixed upstream."), "{shown}");
        let data = world.data(&["evidence", "a"]);
        assert_eq!(
            (&data["report"]["status"], &data["report"]["reason"], &data["refuted"]),
            (&"no_change".into(), &"it was fixed upstream".into(), &serde_json::Value::Null)
        );
    }
}

#[test]
fn forged_without_a_reason_a_moved_head_or_changed_files_it_is_refuted() {
    refuted("true", "", ALLOWED, "the report gives no reason");
    refuted("true", "--reason ' '", ALLOWED, "the report gives no reason");
    let moved = format!("echo x > x.txt && {COMMIT}");
    refuted(&moved, "--reason none", ALLOWED, "the head differs from the base: it is ");
    refuted("echo x > x.txt", "--reason none", ALLOWED, "the tree differs from the base: x.txt");
    let empty = COMMIT.replace("-q -m", "-q --allow-empty -m");
    refuted(&empty, "--reason none", "[ { exit: 0 } ]", "the head differs from the base: it is ");
}

#[test]
fn forged_where_a_diff_item_asks_for_a_change_none_is_no_answer() {
    let world = unchanged("true", "--reason none", "[ { exit: 0 }, { diff: {} } ]");
    world.up().exits(3);
    assert_eq!(world.told("a"), "failed (refuted: no_change: a `diff` item asks for a change)");
}
