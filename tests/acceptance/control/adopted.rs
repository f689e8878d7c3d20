//! `--adopt` of an edited control task: it starts over, and what it made stays to be looked at.

use super::{text, world};

const LOOP: &str = "  fix:
    loop:
      max: 3
      until: { output: met, equals: true }
      each: { run: '@NOTE; test -e $W/go && met=true || met=false; @SAY --output met:=$met' }
  after: { needs: [fix], run: '@NOTE' }
";

#[test]
fn an_adopted_edit_of_a_loops_body_starts_it_over_and_keeps_the_record() {
    let world = world(LOOP);
    world.up().exits(3);
    world.ran_once(&["fix-i1.1", "fix-i2.1", "fix-i3.1"]);
    let edit = |tasks: &str| {
        let text = text(tasks).replace("$W", world.root().to_str().unwrap());
        std::fs::write(world.repo().join("ilchul.yaml"), format!("version: 1\nname: test\n{text}")).unwrap();
    };
    edit(&LOOP.replace("@NOTE; test", "@NOTE; echo edited >> $W/ledger; test"));
    let plan = world.up().exits(1).stderr;
    assert!(plan.contains("fix") && plan.contains("after"), "{plan}");
    world.touch("go");
    world.run(&["up", "--session", "subprocess", "--adopt"]).exits(0);
    let after = &world.ledger()[3..];
    assert_eq!(after.len(), 3, "{after:?}");
    assert!(after.contains(&"edited".to_owned()) && after.contains(&"after.1".to_owned()), "{after:?}");
    let state = world.state();
    assert!(state.workers.keys().filter(|id| id.starts_with("fix-i")).count() >= 4, "the record stays");
}
