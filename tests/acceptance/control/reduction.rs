//! `reduce`: run twice, compared, and handed on (law D6).

use serde_json::json;
use sha2::{Digest, Sha256};

use super::world;
use crate::world::{World, wait_until};

/// Two answers, and their sum: as JSON, with a word on the way that differs each time.
const SUM: &str = r#"  a: { run: '@SAY --output n:=3' }
  b: { run: '@SAY --output n:=4' }
  sum:
    reduce:
      over: [a, b]
      run: |
        echo $ILCHUL_WORKER >> $W/ledger
        echo process $$ >&2
        ls
        touch left-behind
        test -t 1 && echo a terminal
        total=0
        for n in $(grep -o '"n":[0-9]*' "$ILCHUL_INPUTS" | cut -d : -f 2); do total=$((total + n)); done
        echo "{\"total\": $total}"
  after: { needs: [sum], run: 'cp $ILCHUL_INPUTS $W/read.json' }
"#;

fn digests(world: &World) -> (String, String) {
    let data = world.data(&["evidence", "sum"]);
    let item = &data["items"][1];
    assert_eq!((&item["kind"], &item["verdict"]), (&json!("reduce"), &json!("verified")), "{data}");
    let word = |name: &str| item[name].as_str().unwrap().to_owned();
    assert_eq!(item["output_sha256"], item["again_sha256"]);
    (word("inputs_sha256"), word("output_sha256"))
}

#[test]
fn d6_the_same_inputs_give_the_same_output_hash_in_every_session_and_every_run() {
    let mut found = Vec::new();
    for session in ["subprocess", "tmux"] {
        let world = world(SUM);
        world.run(&["up", "--session", session]).exits(0);
        assert_eq!(world.ledger(), ["sum.1", "sum.1"], "ilchul ran it once more, and no more");
        let read: serde_json::Value =
            serde_json::from_slice(&std::fs::read(world.root().join("read.json")).unwrap()).unwrap();
        assert_eq!(read["needs"]["sum"]["outputs"], json!({"result": {"total": 7}}));
        found.push(digests(&world));
        let said = world.ok(&["evidence", "sum", "--recheck"]);
        assert!(said.contains("bytes of output are kept; it isn't run again"), "{said}");
        world.run(&["up", "--session", session, "--new"]).exits(0);
        found.push(digests(&world));
    }
    found.dedup();
    assert_eq!(found.len(), 1, "{found:?}");
    // Of exactly this, as `sha256sum` says it.
    let digest = Sha256::digest(b"{\"total\": 7}\n");
    assert_eq!(found[0].1, digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

#[test]
fn d6_a_reduction_that_prints_something_else_the_second_time_fails() {
    let world = world(
        "  a: { run: 'true' }\n  \
         sum: { reduce: { over: [a], run: 'date +%N' } }\n  \
         after: { needs: [sum], run: '@NOTE' }\n",
    );
    world.up().exits(3);
    assert_eq!(
        world.told("sum"),
        "failed (refuted: reduce: two runs over the same inputs gave different outputs)"
    );
    assert!(world.told("after").starts_with("skipped"), "{}", world.told("after"));
    // Both are kept for whoever wants to compare them.
    world.ok(&["evidence", "sum", "--recheck"]);
}

#[test]
fn what_a_reduction_reports_goes_before_what_it_prints_and_text_stays_text() {
    let world = world(
        "  a: { run: 'true' }\n  \
         own: { reduce: { over: [a], run: 'echo printed; @SAY --output x=y' } }\n  \
         text: { reduce: { over: [own], run: 'echo one; echo two' } }\n",
    );
    world.up().exits(0);
    assert_eq!(serde_json::Value::from(world.task("own").outputs), json!({"x": "y"}));
    assert_eq!(serde_json::Value::from(world.task("text").outputs), json!({"result": "one\ntwo\n"}));
    // Who follows the log sees what came out, too.
    assert!(world.ok(&["logs", "text"]).contains("one\ntwo"), "{}", world.ok(&["logs", "text"]));
}

#[test]
fn a_reduction_that_failed_isnt_run_again_to_see_it_fail() {
    let world = world("  a: { run: 'true' }\n  sum: { reduce: { over: [a], run: '@NOTE; exit 4' } }\n");
    world.up().exits(3);
    assert_eq!(world.ledger(), ["sum.1"]);
    assert!(world.told("sum").starts_with("failed (refuted: exit: "), "{}", world.told("sum"));
}

#[test]
fn d6_a_supervisor_that_is_killed_during_the_second_run_leaves_a_reduction_that_completes() {
    let world = world(
        "  a: { run: 'true' }\n  \
         sum: { reduce: { over: [a], run: '@NOTE; test $(wc -l < $W/ledger) -lt 2 || @WAIT; echo same' } }\n",
    );
    let up = world.start_up();
    wait_until("the second run", || world.ledger().len() == 2);
    world.kill_and_resume(up).exits(0);
    let task = world.task("sum");
    assert_eq!((task.attempt, task.outputs.get("result")), (1, Some(&json!("same\n"))));
}
