//! The supervisor is killed in the middle, and what was decided before stays decided.

use super::world;

const SESSIONS: [&str; 2] = ["subprocess", "tmux"];

#[test]
fn d4_j7_a_finished_classifiers_choice_survives_a_killed_supervisor() {
    for session in SESSIONS {
        // Asked a second time it would say something else.
        let world = world(
        "  pick:
    classify:
      by: { run: '@NOTE; if test $(wc -l < $W/ledger) -eq 1; then label=bug; else label=docs; fi; @SAY --output label=$label' }
      branches: { bug: [fix], docs: [write] }
  fix: { run: '@NOTE; @WAIT' }
  write: { run: '@NOTE' }
  after: { needs: [fix], run: '@NOTE' }
",
    );
        world.killed_in(session, "fix.1").exits(0);
        world.ran_once(&["pick.1", "fix.1", "after.1"]);
        assert_eq!(world.told("write"), "skipped (pruned: `pick` chose `bug`)");
    }
}

#[test]
fn d3_j7_finished_iterations_survive_a_killed_supervisor() {
    for session in SESSIONS {
        let world = world(
            "  fix:
    loop:
      max: 5
      until: { command: 'test $(wc -l < count) -ge 4' }
      each: { workspace: worktree, run: '@NOTE; echo x >> count; test $(wc -l < count) -lt 2 || @WAIT' }
  after: { needs: [fix], base: { task: fix }, workspace: worktree, run: '@NOTE; cp count $W/count' }
",
        );
        world.killed_in(session, "fix-i2.1").exits(0);
        world.ran_once(&["fix-i1.1", "fix-i2.1", "fix-i3.1", "fix-i4.1", "after.1"]);
        let count = std::fs::read_to_string(world.root().join("count")).unwrap();
        assert_eq!(count.lines().count(), 4, "each goes on where the one before it ended");
        assert_eq!(world.task("fix").head, world.task("fix-i4").head);
    }
}

#[test]
fn d5_j7_what_was_played_of_a_bracket_survives_a_killed_supervisor() {
    for session in SESSIONS {
        // The judges of the first round would name the other one if they were asked again.
        let world = world(
            "  best:
    tournament:
      entrants: 4
      each: { run: '@NOTE; @SAY' }
      judge:
        run: |
          @NOTE
          winner=right
          if test $ILCHUL_WORKER = best-j3.1; then @WAIT; winner=left; fi
          if test $(grep -c $ILCHUL_WORKER $W/ledger) -gt 1; then winner=left; fi
          @SAY --output winner=$winner
",
        );
        world.killed_in(session, "best-j3.1").exits(0);
        world.ran_once(&[
            "best-e1.1",
            "best-e2.1",
            "best-e3.1",
            "best-e4.1",
            "best-j1.1",
            "best-j2.1",
            "best-j3.1",
        ]);
        let row = |cells: [&str; 4]| cells.map(str::to_owned);
        let expected = [
            row(["best-j1", "best-e1", "best-e2", "best-e2"]),
            row(["best-j2", "best-e3", "best-e4", "best-e4"]),
            row(["best-j3", "best-e2", "best-e4", "best-e2"]),
        ];
        assert_eq!(world.bracket("best"), expected);
    }
}

#[test]
fn d5_a_denied_entrant_withdraws_also_when_it_is_denied_after_a_kill() {
    let world = world(
        "  best:
    tournament:
      entrants:
        - {}
        - { evidence: [ { exit: 0 }, { approval: { message: Let it play? } } ] }
        - {}
      each: { run: '@NOTE; @SAY' }
      judge: { run: '@NOTE; @SAY --output winner=left' }
  after: { needs: [best], run: '@NOTE' }
",
    );
    let up = world.start_up();
    world.await_task("best-e2", "verifying");
    for worker in ["best-e1.1", "best-e3.1"] {
        world.await_line(worker);
    }
    up.kill();
    let up = world.start_up();
    world.await_resumes(1);
    world.run(&["deny", "best-e2", "--reason", "not this one"]).exits(0);
    up.wait().exits(0);
    world.ran_once(&["best-e1.1", "best-e2.1", "best-e3.1", "best-j1.1", "after.1"]);
    assert!(
        world.told("best-e2").starts_with("failed (refuted: approval: denied by"),
        "{}",
        world.told("best-e2")
    );
    assert_eq!(world.bracket("best"), [["best-j1", "best-e1", "best-e3", "best-e1"].map(str::to_owned)]);
}

#[test]
fn d5_a_judge_that_names_a_stranger_is_asked_once_more_and_then_the_match_fails() {
    let world = world(
        "  best:
    tournament:
      entrants: 2
      each: { run: '@NOTE; @SAY' }
      judge: { run: '@NOTE; test $ILCHUL_ATTEMPT = 1 || @WAIT; @SAY --output winner=best-e3' }
  after: { needs: [best], run: '@NOTE' }
",
    );
    world.killed_at("best-j1.2").exits(3);
    world.ran_once(&["best-e1.1", "best-e2.1", "best-j1.1", "best-j1.2"]);
    assert_eq!(world.told("best"), "failed (no_champion: no judge named a winner)");
    assert!(world.told("after").starts_with("skipped"), "{}", world.told("after"));
}

#[test]
fn a_duplicate_completion_starts_nothing_early() {
    let world = world(
        "  fix:
    loop:
      max: 2
      until: { output: met, equals: true }
      each: { run: '@SAY --output met:=true; @NOTE; @SAY --output met:=true; @WAIT' }
  after: { needs: [fix], run: '@NOTE' }
",
    );
    let up = world.start_up();
    world.await_line("fix-i1.1");
    up.kill();
    let up = world.start_up();
    world.await_resumes(1);
    // It lives: whatever it said, and however often, nothing has ended.
    world.run(&["wait", "after", "--timeout", "1s"]).exits(4);
    assert_eq!((world.ledger().len(), world.told("after")), (1, "pending".to_owned()));
    world.touch("go");
    up.wait().exits(0);
    world.ran_once(&["fix-i1.1", "after.1"]);
}

#[test]
fn d4_an_unknown_label_fails_the_task_and_what_is_behind_it_has_an_outcome() {
    let world = world(
        "  pick:
    classify:
      by: { run: '@NOTE; @WAIT; @SAY --output label=neither' }
      branches: { bug: [fix], docs: [write] }
  fix: { run: '@NOTE' }
  write: { run: '@NOTE' }
  after: { needs: [fix, write], run: '@NOTE' }
",
    );
    world.killed_at("pick.1").exits(3);
    world.ran_once(&["pick.1"]);
    let told = world.told("pick");
    assert!(told.contains("`outputs.label` is \"neither\", which is none of `bug`, `docs`"), "{told}");
    for task in ["fix", "write", "after"] {
        assert!(world.told(task).starts_with("skipped ("), "{task}: {}", world.told(task));
        assert!(world.told(task).contains("pick"), "{task}: {}", world.told(task));
    }
}

#[test]
fn d3_an_errored_iteration_ends_the_loop() {
    let world = world(
        "  fix:
    loop:
      max: 5
      until: { output: met, equals: true }
      each: { run: '@NOTE; test $ILCHUL_TASK = fix-i1 || { @WAIT; kill -9 $$; }' }
  after: { needs: [fix], run: '@NOTE' }
",
    );
    world.killed_at("fix-i2.1").exits(3);
    world.ran_once(&["fix-i1.1", "fix-i2.1"]);
    let told = world.told("fix");
    assert!(told.starts_with("failed (iteration_failed: `fix-i2` is failed: "), "{told}");
    assert!(told.contains("signal 9"), "{told}");
}

#[test]
fn d3_a_timeout_is_no_success_even_where_the_condition_is_met() {
    let world = world(
        "  fix:
    loop:
      max: 5
      until: { command: 'true' }
      each: { timeout: 2s, run: '@NOTE; @SAY --output met:=true; until test -e $W/never; do sleep 0.02; done' }
  after: { needs: [fix], run: '@NOTE' }
",
    );
    world.killed_at("fix-i1.1").exits(3);
    world.ran_once(&["fix-i1.1"]);
    let told = world.told("fix");
    assert!(told.starts_with("failed (iteration_failed: `fix-i1` is failed: timeout"), "{told}");
}

#[test]
fn d1_every_task_behind_a_denial_has_an_outcome() {
    let world = world(
        "  ship: { approve: { message: Ship it? } }
  fix: { needs: [ship], loop: { max: 2, until: { exit: 0 }, each: { run: '@NOTE' } } }
  best: { needs: [fix], tournament: { entrants: 2, each: { run: '@NOTE' }, judge: { run: '@NOTE' } } }
  list: { needs: [best], run: '@NOTE' }
  many: { map: { over: list.outputs.files, each: { run: '@NOTE' } } }
  sum: { reduce: { over: [many], run: '@NOTE' } }
  pick: { needs: [sum], classify: { by: { run: '@NOTE' }, branches: { a: [last] } } }
  last: { run: '@NOTE' }
  instead: { needs: [ship], when: failed, run: '@NOTE' }
",
    );
    let up = world.start_up();
    world.await_task("ship", "verifying");
    up.kill();
    world.run(&["deny", "ship"]).exits(0);
    world.up().exits(3);
    world.ran_once(&["instead.1"]);
    for (task, phase) in world.phases() {
        let expected = match task.as_str() {
            "ship" => "failed",
            "instead" => "completed",
            _ => "skipped",
        };
        assert_eq!(phase, expected, "{task}: {}", world.told(&task));
        if phase == "skipped" {
            assert!(world.told(&task).contains("`ship`"), "{task}: {}", world.told(&task));
        }
    }
}
