//! What people see of control tasks: whose task is whose, sentences, and the bracket.

use super::world;
use crate::world::World;

/// A choice, a loop that needs two iterations, and three entrants of whom one withdraws.
const ALL: &str = "  triage:
    classify:
      by: { run: '@SAY --output label=bug' }
      branches: { bug: [fix], docs: [write] }
  write: { run: 'true' }
  fix:
    loop:
      max: 4
      until: { output: met, equals: true }
      each: { run: 'test $ILCHUL_TASK = fix-i2 && met=true || met=false; @SAY --output met:=$met' }
  best:
    needs: [fix]
    tournament:
      entrants: 3
      each: { run: 'test $ILCHUL_TASK != best-e2 || exit 1; @SAY' }
      judge: { run: '@SAY --output winner=right' }
  ship: { needs: [best], approve: { message: Ship it? } }
";

/// Without what differs from run to run: ages.
fn steady(text: &str) -> String {
    let age = regex::Regex::new(r"just now|\d+ (s|min) ago").unwrap();
    let span = regex::Regex::new(r"for \d+ (s|min)\b").unwrap();
    span.replace_all(&age.replace_all(text, "AGO"), "for SPAN").into_owned()
}

fn asking() -> (World, String) {
    let world = world(ALL);
    let ran = world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);
    (world, ran.stderr)
}

#[test]
fn status_shows_each_task_below_the_one_that_made_it_with_what_came_of_it() {
    let (world, _) = asking();
    let status = steady(&world.ok(&["status"]));
    let table: String = status
        .lines()
        .skip_while(|line| !line.starts_with("TASK"))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").replace(" AGO", "") + "\n")
        .collect();
    let indented: Vec<&str> = status
        .lines()
        .filter(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(indented, ["fix-i1", "fix-i2", "best-e1", "best-e2", "best-e3", "best-j1"], "{status}");
    let expected = "TASK STATE SINCE ATTEMPT EVIDENCE REASON
triage completed 1 of 1 2 verified chose `bug`
write skipped - - pruned: `triage` chose `bug`
fix completed - 1 verified iteration 2 of at most 4 met the condition
fix-i1 completed 1 of 1 - the condition isn't met: output: expected `outputs.met` to be true, found false
fix-i2 completed 1 of 1 - the condition is met
best completed - 1 verified `best-e3` won the match
best-e1 completed 1 of 1 1 verified 1 item verified
best-e2 failed 1 of 1 1 refuted refuted: exit: expected exit code 0, found exit code 1
best-e3 completed 1 of 1 1 verified 1 item verified
best-j1 completed 1 of 2 2 verified chose `right`
ship verifying - - waits for your approval: Ship it? (ilchul approve ship, or ilchul deny ship)

Nobody drives this run. Go on with: ilchul up
`ship` waits for your approval: Ship it? Look: ilchul evidence ship. Answer: ilchul approve ship, or ilchul deny ship
";
    assert_eq!(table, expected);
}

#[test]
fn d5_the_bracket_is_shown_by_why_and_by_evidence() {
    let (world, _) = asking();
    let why = steady(&world.ok(&["why", "best"]));
    let expected = "best has been completed for SPAN.
`best-e3` won the match.
Matches:
  best-j1  best-e1 against best-e3: best-e3 won
Withdrawn: best-e2 (failed).
Known from the journal's entry about `best`, AGO.
What would change it: nothing: it is done.
Next: ilchul evidence best
";
    assert_eq!(why, expected);
    let evidence = steady(&world.ok(&["evidence", "best"]));
    let expected = "Evidence of `best`, attempt 1:
  verified  children: `best-e3` won the match (AGO)
    match best-j1: best-e1 against best-e3: best-e3 won
    child: best-e3
    withdrawn: 1
";
    assert_eq!(evidence, expected);
}

#[test]
fn d3_a_loop_is_shown_with_what_each_iteration_lacked() {
    let (world, _) = asking();
    let why = steady(&world.ok(&["why", "fix"]));
    let expected = "fix has been completed for SPAN.
Iteration 2 of at most 4 met the condition.
Iterations:
  fix-i1  the condition isn't met: output: expected `outputs.met` to be true, found false
  fix-i2  the condition is met
";
    assert!(why.starts_with(expected), "{why}");
    let evidence = steady(&world.ok(&["evidence", "fix-i1"]));
    let expected = "Evidence of `fix-i1`, attempt 1:
The condition of its loop:
  not met  output: expected `outputs.met` to be true, found false (AGO)
    name: met
";
    assert!(evidence.starts_with(expected), "{evidence}");
}

#[test]
fn up_tells_of_what_was_made_and_chosen_and_calls_no_unmet_condition_a_fault() {
    let (_world, said) = asking();
    let said: Vec<&str> =
        said.lines().filter_map(|line| line.split_once(' ')).map(|(_, told)| told).collect();
    let told = |line: &str| assert!(said.contains(&line), "no `{line}` in\n{}", said.join("\n"));
    told("ok triage  completed: chose `bug`");
    told("- write  skipped: pruned: `triage` chose `bug`");
    told("> fix made fix-i1: the first iteration");
    told("> fix made fix-i2: after iteration 1: output: expected `outputs.met` to be true, found false");
    told("ok fix  completed: iteration 2 of at most 4 met the condition");
    told("> best made best-e1 to best-e3, 3 in all: 3 entrants");
    told("> best made best-j1: 2 entrants are left");
    told("ok best  completed: `best-e3` won the match");
    assert!(!said.iter().any(|line| line.starts_with("x fix")), "{said:?}");
    assert!(!said.contains(&"> best  ended, checking its evidence"), "{said:?}");
}

#[test]
fn an_entrant_that_withdrew_from_a_won_tournament_wants_no_attention() {
    let (world, _) = asking();
    assert!(!world.ok(&["status"]).contains("`best-e2` failed"), "{}", world.ok(&["status"]));
    world.run(&["approve", "ship"]).exits(0);
    let ran = world.up().exits(0);
    assert!(
        ran.stdout.contains("ended with success") && !ran.stdout.contains("why it failed"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_control_task_that_failed_leads_to_no_log_of_a_worker_it_never_had() {
    let world =
        world("  best: { tournament: { entrants: 2, each: { run: 'exit 1' }, judge: { run: 'true' } } }\n");
    let ran = world.up().exits(3);
    assert!(
        ran.stdout.contains("\n  ilchul why best ") && !ran.stdout.contains("ilchul logs"),
        "{}",
        ran.stdout
    );
    let why = world.ok(&["why", "best"]);
    assert!(why.contains("Withdrawn: best-e1 (failed) and best-e2 (failed).\n"), "{why}");
    assert!(!why.contains("logs best"), "{why}");
}

#[test]
fn what_a_running_loop_waits_for_is_followed_down_to_the_worker() {
    let world = world(
        "  fix: { loop: { max: 2, until: { exit: 0 }, each: { run: '@NOTE; @WAIT' } } }\n  after: { needs: [fix], run: 'true' }\n",
    );
    let up = world.start_up();
    world.await_line("fix-i1.1");
    world.await_task("fix-i1", "in_progress");
    let why = world.ok(&["why", "after"]);
    let chain: Vec<&str> =
        why.lines().filter_map(|line| line.strip_prefix("  ")?.split("  ").next()).collect();
    assert_eq!(chain, ["after", "fix", "fix-i1"], "{why}");
    assert!(why.contains("Next: ilchul logs fix-i1 -f"), "{why}");
    world.touch("go");
    up.wait().exits(0);
}
