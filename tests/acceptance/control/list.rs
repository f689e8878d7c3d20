//! `map`: a worker's list, element by element, and what may stand inside.

use serde_json::{Value, json};

use super::world;

#[test]
fn a_map_works_on_each_element_of_a_workers_list() {
    let world = world(
        "  list: { run: '@SAY --output \"files:=[\\\"a\\\",{\\\"b\\\":[1]},null]\"' }
  each: { map: { over: list.outputs.files, each: { run: 'echo \"$ILCHUL_TASK $ILCHUL_ITEM\" >> $W/ledger; @SAY --output saw=\"$ILCHUL_ITEM\"' } } }
  after: { needs: [each], run: 'cp $ILCHUL_INPUTS $W/read.json' }
",
    );
    world.up().exits(0);
    let mut ledger = world.ledger();
    ledger.sort();
    assert_eq!(ledger, ["each-m1 \"a\"", "each-m2 {\"b\":[1]}", "each-m3 null"]);
    let read: Value =
        serde_json::from_slice(&std::fs::read(world.root().join("read.json")).unwrap()).unwrap();
    let expected = json!({"items": [{"saw": "\"a\""}, {"saw": "{\"b\":[1]}"}, {"saw": "null"}]});
    assert_eq!(read["needs"]["each"]["outputs"], expected, "in the order of the list");
}

#[test]
fn j7_a_map_of_loops_goes_on_after_a_kill_with_the_elements_and_iterations_it_had() {
    let world = world(
        "  list: { run: '@NOTE; @SAY --output files:=[1,2]' }
  each:
    map:
      over: list.outputs.files
      each:
        loop:
          max: 4
          until: { output: met, equals: true }
          each:
            run: |
              @NOTE
              case $ILCHUL_TASK in *-i2) @WAIT; met=true;; *) met=false;; esac
              @SAY --output met:=$met --output item:=$ILCHUL_ITEM
  after: { needs: [each], run: '@NOTE' }
",
    );
    let up = world.start_up();
    // Both take their second one: a launch that a crash interrupts is given up.
    for task in ["each-m1-i2", "each-m2-i2"] {
        world.await_line(&format!("{task}.1"));
    }
    world.kill_and_resume(up).exits(0);
    world.ran_once(&["list.1", "each-m1-i1.1", "each-m1-i2.1", "each-m2-i1.1", "each-m2-i2.1", "after.1"]);
    let expected = json!({"items": [{"met": true, "item": 1}, {"met": true, "item": 2}]});
    assert_eq!(Value::from(world.task("each").outputs), expected);
}

#[test]
fn a_failed_element_fails_the_map_by_name_once_all_have_ended() {
    let world = world(
        "  list: { run: '@SAY --output files:=[1,2,3]' }
  each: { map: { over: list.outputs.files, each: { run: '@NOTE; test $ILCHUL_ITEM != 2' } } }
",
    );
    world.up().exits(3);
    world.ran_once(&["each-m1.1", "each-m2.1", "each-m3.1"]);
    let told = world.told("each");
    assert!(told.starts_with("failed (element_failed: `each-m2` is failed: "), "{told}");
}
