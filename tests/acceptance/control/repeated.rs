//! `loop`: judged at the commit that the iteration left, and told what was missing (law D3).

use serde_json::Value;

use super::world;

/// Three tries, each with a line more, until ilchul finds three of them.
const TRIES: &str = "  fix:
    loop:
      max: 5
      until: { command: 'wc -l < count; git rev-parse HEAD', match: '^3' }
      each:
        workspace: worktree
        run: |
          @NOTE
          echo x >> count
          git add -A
          git -c user.name=t -c user.email=t@localhost commit -q -m $ILCHUL_TASK
          cp $ILCHUL_INPUTS $W/$ILCHUL_TASK.json
          ilchul report --status done --summary \"after $ILCHUL_TASK\" --output try=$ILCHUL_TASK
";

#[test]
fn d3_a_condition_is_judged_by_ilchul_at_the_commit_that_the_iteration_left() {
    let world = world(TRIES);
    world.up().exits(0);
    world.ran_once(&["fix-i1.1", "fix-i2.1", "fix-i3.1"]);
    for iteration in ["fix-i1", "fix-i2", "fix-i3"] {
        let task = world.task(iteration);
        let condition = task.evidence.last().unwrap();
        let commit = condition.facts.get("commit").and_then(Value::as_str);
        assert_eq!((condition.kind.as_str(), commit), ("command", task.head.as_deref()), "{iteration}");
        assert_eq!(world.git(&["log", "-1", "--format=%s", commit.unwrap()]).trim_end(), iteration);
    }
    assert_eq!(world.task("fix").head, world.task("fix-i3").head);
    assert_eq!(world.task("fix").summary, "after fix-i3");
}

#[test]
fn d3_what_an_iteration_said_and_lacked_is_read_by_the_next_one() {
    let world = world(TRIES);
    world.up().exits(0);
    let read = |task: &str| -> Value {
        let path = world.root().join(format!("{task}.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    assert_eq!(read("fix-i1")["needs"], serde_json::json!({}));
    let before = &read("fix-i3")["needs"]["fix-i2"];
    assert_eq!(before["summary"], "after fix-i2");
    assert_eq!(before["outputs"]["try"], "fix-i2");
    assert_eq!(before["head"].as_str(), world.task("fix-i2").head.as_deref());
    let condition = &before["evidence"].as_array().unwrap().last().unwrap();
    assert_eq!((&condition["kind"], &condition["verdict"]), (&"command".into(), &"refuted".into()));
    assert!(condition["reason"].as_str().unwrap().contains("doesn't match"), "{before}");
}

#[test]
fn d3_a_loop_that_reaches_its_cap_has_failed_and_a_retry_grants_it_one_iteration_more() {
    let world = world(
        "  fix:
    loop:
      max: 2
      until: { output: met, equals: true }
      each: { run: '@NOTE; test -e $W/go && met=true || met=false; @SAY --output met:=$met' }
  after: { needs: [fix], run: '@NOTE' }
",
    );
    world.up().exits(3);
    let told = world.told("fix");
    assert!(
        told.starts_with("failed (loop_cap: the condition isn't met after 2 of at most 2 iterations"),
        "{told}"
    );
    world.touch("go");
    world.run(&["retry", "fix"]).exits(0);
    world.up().exits(0);
    world.ran_once(&["fix-i1.1", "fix-i2.1", "fix-i3.1", "after.1"]);
}

#[test]
fn cancelling_a_loop_ends_its_iteration_and_what_waits_for_it() {
    let world = world(
        "  fix: { loop: { max: 2, until: { exit: 0 }, each: { run: '@NOTE; @WAIT' } } }
  after: { needs: [fix], run: '@NOTE' }
  beside: { run: '@WAIT' }
",
    );
    let up = world.start_up();
    world.await_line("fix-i1.1");
    world.run(&["cancel", "fix"]).exits(0);
    world.await_task("fix-i1", "cancelled");
    world.touch("go");
    up.wait().exits(3);
    world.ran_once(&["fix-i1.1"]);
    assert!(world.told("fix").starts_with("cancelled"), "{}", world.told("fix"));
    assert!(world.told("after").starts_with("skipped"), "{}", world.told("after"));
    // The operator's retry takes both back.
    world.run(&["retry", "fix"]).exits(0);
    world.up().exits(0);
    assert_eq!(world.told("after"), "completed");
}
