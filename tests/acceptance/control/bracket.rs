//! `tournament`: who meets whom, what a judge sees, and where the champion's head leads (law D5).

use super::world;
use crate::world::World;

/// Entrants that leave a commit of their own, of which the second and the fourth fail; a judge
/// that names the right one.
fn cup(entrants: u32) -> World {
    world(&format!(
        "  best:
    tournament:
      entrants: {entrants}
      each: {{ run: '@NOTE; case $ILCHUL_TASK in *e2|*e4) exit 1;; esac; @SAY' }}
      judge: {{ run: '@NOTE; @SAY --output winner=right' }}
  after: {{ needs: [best], run: '@NOTE' }}
"
    ))
}

#[test]
fn d5_four_and_five_entrants_two_of_them_failing_end_right() {
    let row = |cells: [&str; 4]| cells.map(str::to_owned);
    let world = cup(4);
    world.up().exits(0);
    assert_eq!(world.bracket("best"), [row(["best-j1", "best-e1", "best-e3", "best-e3"])]);
    let world = cup(5);
    world.up().exits(0);
    let expected = [
        row(["best-j1", "best-e1", "best-e3", "best-e3"]),
        row(["best-j2", "best-e3", "best-e5", "best-e5"]),
    ];
    assert_eq!(world.bracket("best"), expected);
    assert_eq!(world.ledger().last().map(String::as_str), Some("after.1"));
    assert_eq!(world.task("best").evidence[0].facts.get("withdrawn").unwrap(), 2);
}

#[test]
fn no_survivor_is_no_champion() {
    let world =
        world("  best: { tournament: { entrants: 2, each: { run: 'exit 1' }, judge: { run: '@NOTE' } } }\n");
    world.up().exits(3);
    assert_eq!(world.told("best"), "failed (no_champion: none of 2 entrants completed)");
    assert_eq!(world.ledger(), Vec::<String>::new());
}

/// Two entrants that commit what they wrote, a judge, and a task that starts from the champion.
fn heads(judge: &str) -> World {
    let commit = "git add -A; git -c user.name=t -c user.email=t@localhost commit -q -m $ILCHUL_TASK";
    world(&format!(
        "  best:
    tournament:
      entrants: [ {{ env: {{ KIND: short }} }}, {{ env: {{ KIND: longer }} }} ]
      each: {{ workspace: worktree, run: 'echo $KIND > word; {commit}; @SAY' }}
      judge: {{ workspace: worktree, run: '{judge}' }}
  after:
    needs: [best]
    base: {{ task: best }}
    workspace: worktree
    run: 'cat word >> $W/ledger; git rev-parse HEAD >> $W/ledger; echo $ILCHUL_BASE >> $W/ledger'
"
    ))
}

#[test]
fn d5_the_judge_sees_both_heads_and_the_winners_head_is_where_a_dependent_starts() {
    let world = heads(
        "for side in $ILCHUL_LEFT $ILCHUL_RIGHT; do git -C $side rev-parse HEAD >> $W/seen; cat $side/word >> $W/seen; done; \
         git -C $ILCHUL_LEFT symbolic-ref -q HEAD >> $W/seen; cp $ILCHUL_INPUTS $W/judge.json; @SAY --output winner=right",
    );
    world.up().exits(0);
    let head = |task: &str| world.task(task).head.unwrap();
    let seen = std::fs::read_to_string(world.root().join("seen")).unwrap();
    let expected = [&head("best-e1"), "short", &head("best-e2"), "longer"];
    assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "both heads, on no branch");
    let champion = head("best-e2");
    assert_eq!(head("best"), champion);
    assert_eq!(world.ledger(), ["longer", &champion, &champion]);
    assert_eq!(world.git(&["log", "-1", "--format=%s", &champion]).trim_end(), "best-e2");
    // What it is told of the two: heads and evidence, and nobody's command.
    let told = std::fs::read_to_string(world.root().join("judge.json")).unwrap();
    assert!(told.contains(&champion) && told.contains("\"evidence\":[{"), "{told}");
    assert!(!told.contains("git add"), "{told}");
}

#[test]
fn d5_a_judge_that_changes_what_it_compares_refutes_the_match() {
    let world = heads("echo better > $ILCHUL_LEFT/word; @SAY --output winner=left");
    world.up().exits(3);
    let told = world.told("best-j1");
    assert!(told.contains("the judge changed the left tree: `word`"), "{told}");
    assert_eq!(world.told("best"), "failed (no_champion: no judge named a winner)");
    assert_eq!(world.ledger(), Vec::<String>::new(), "nobody starts from an unjudged head");
}
