//! Control tasks end to end: what an iteration is told, what is shown of it, and what a judge
//! without a tree compares.
//!
//! It leaves out which task is made when: the engine's tests hold that.

use std::fs;

use serde_json::{Value, json};

use crate::world::World;

/// The evidence and condition of an iteration, as `[kind, verdict]`.
fn shown(items: &Value) -> Vec<[String; 2]> {
    let word = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    items.as_array().unwrap().iter().map(|item| [word(item, "kind"), word(item, "verdict")]).collect()
}

fn pair(kind: &str, verdict: &str) -> [String; 2] {
    [kind.to_owned(), verdict.to_owned()]
}

#[test]
fn an_iteration_is_told_the_end_of_what_the_one_before_it_printed() {
    let world = World::with(
        "tasks:\n  a:\n    loop:\n      max: 3\n      until: { exit: 0 }\n      each:\n        run: |\n          \
         cp \"$ILCHUL_INPUTS\" seen.json\n          echo x >> count\n          \
         echo \"try $(wc -l < count) of this\"\n          test $(wc -l < count) -ge 2\n",
    );
    world.up().exits(0);
    let seen = fs::read(world.tree("a-i2.1").join("seen.json")).unwrap();
    let seen: Value = serde_json::from_slice(&seen).unwrap();
    assert_eq!(seen["refuted"].as_array().unwrap().len(), 1, "{seen}");
    assert_eq!(
        (&seen["refuted"][0]["kind"], &seen["refuted"][0]["log"]),
        (&json!("exit"), &json!("try 1 of this"))
    );
}

#[test]
fn an_iterations_own_evidence_and_the_conditions_of_its_loop_are_shown_apart() {
    let world = World::with(
        "tasks:\n  a:\n    loop:\n      max: 2\n      until: { artifact: done.txt }\n      each:\n        run: |\n          \
         test ! -e out.txt || echo done > done.txt\n          date +%N > out.txt\n        \
         evidence: [ { exit: 0 }, { artifact: out.txt } ]\n",
    );
    world.up().exits(0);
    let own = [pair("exit", "verified"), pair("artifact", "verified")];
    for (task, met) in [("a-i1", "refuted"), ("a-i2", "verified")] {
        let evidence = world.data(&["evidence", task]);
        assert_eq!(shown(&evidence["items"]), own);
        assert_eq!(shown(&evidence["conditions"]), [pair("artifact", met)]);
        let again = world.data(&["evidence", task, "--recheck"]);
        assert_eq!(
            (again["items"].as_array().unwrap().len(), again["conditions"].as_array().unwrap().len()),
            (2, 1)
        );
        let status = world.data(&["status"]);
        let of_task = status["tasks"].as_array().unwrap().iter().find(|one| one["id"] == task).unwrap();
        assert_eq!(shown(&of_task["evidence"]), own);
        assert_eq!(shown(&of_task["conditions"]), [pair("artifact", met)]);
        let text = world.ok(&["evidence", task]);
        let word = if met == "verified" { "met" } else { "not met" };
        assert!(text.contains(&format!("The condition of its loop:\n  {word}  artifact: ")), "{text}");
    }
    // A condition that wasn't met yet is no failure of the iteration, and what met one no work of it.
    let folder = world.root().join("out");
    world.ok(&["evidence", "--export", folder.to_str().unwrap()]);
    let junit = fs::read_to_string(folder.join("junit.xml")).unwrap();
    assert!(!junit.contains("done.txt") && !junit.contains("<failure"), "{junit}");
    let statement = fs::read_to_string(folder.join("a-i2.intoto.json")).unwrap();
    assert!(statement.contains("out.txt") && !statement.contains("done.txt"), "{statement}");
}

/// A tournament of two, judged by `judge` in no tree of its own.
fn judged(judge: &str) -> World {
    let judge = judge.replace("@I", env!("CARGO_BIN_EXE_ilchul")).replace('\n', "\n          ");
    World::with(&format!(
        "tasks:\n  a:\n    tournament:\n      entrants: [ {{ env: {{ N: '1' }} }}, {{ env: {{ N: '2' }} }} ]\n      \
         each: {{ run: 'echo $N > out.txt' }}\n      judge:\n        workspace: none\n        retries: 0\n        run: |\n          {judge}\n"
    ))
}

/// Finds both trees in what a judge is given.
const TREES: &str = "right=$(grep -o '\"tree\":\"[^\"]*-right[^\"]*\"' \"$ILCHUL_INPUTS\" | cut -d'\"' -f4)";
const ANSWER: &str = "@I report --status done --summary x --output winner=right";

#[test]
fn d5_a_judge_without_a_tree_compares_both_heads_and_names_one() {
    let world = judged(&format!("{TREES}\ntest \"$(cat \"$right/out.txt\")\" = 2\n{ANSWER}"));
    let ran = world.up();
    assert_eq!(world.told("a"), "completed", "{}", ran.stderr);
    // Law R5: trees that the run itself makes for a judge are nobody's drift.
    assert!(!ran.stderr.contains("changed between the looks"), "{}", ran.stderr);
}

#[test]
fn d5_a_judge_without_a_tree_that_changes_what_it_compares_is_refuted() {
    let world = judged(&format!("{TREES}\necho better > \"$right/out.txt\"\n{ANSWER}"));
    world.up().exits(3);
    let shown = world.ok(&["evidence", "a-j1"]);
    assert!(shown.contains("refuted  views: the judge changed the right tree: `out.txt`"), "{shown}");
}
