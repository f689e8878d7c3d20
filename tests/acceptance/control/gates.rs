//! `approve`: a person's word, for which no worker is held.

use super::world;

const GATE: &str = "  ship: { approve: { message: Ship it? } }
  after: { needs: [ship], run: '@NOTE' }
  other: { run: '@NOTE' }
";

#[test]
fn an_approve_task_holds_no_worker_while_it_waits() {
    let world = world(GATE);
    let up = world.start(&["up", "--session", "subprocess", "--workers", "1"]);
    world.await_task("other", "completed");
    assert_eq!(world.told("ship"), "verifying");
    assert_eq!(world.state().workers.keys().collect::<Vec<_>>(), ["other.1"]);
    world.run(&["approve", "ship"]).exits(0);
    let said = up.wait().exits(0).stderr;
    assert!(
        said.contains("ship  waits for your approval: Ship it? (ilchul approve ship, or ilchul deny ship)"),
        "{said}"
    );
    world.ran_once(&["other.1", "after.1"]);
}

#[test]
fn unattended_a_run_that_only_a_person_can_go_on_with_is_interrupted_and_goes_on_once_they_did() {
    let world = world(GATE);
    let unattended = ["up", "--session", "subprocess", "--unattended"];
    world.run(&unattended).exits(4);
    world.run(&unattended).exits(4);
    world.ran_once(&["other.1"]);
    world.run(&["approve", "ship"]).exits(0);
    world.run(&unattended).exits(0);
    world.ran_once(&["other.1", "after.1"]);
}

#[test]
fn a_denied_approve_task_ends_the_run_otherwise_and_a_retry_asks_again() {
    let world = world(GATE);
    let unattended = ["up", "--session", "subprocess", "--unattended"];
    world.run(&unattended).exits(4);
    world.run(&["deny", "ship", "--reason", "not today"]).exits(0);
    world.run(&unattended).exits(3);
    let told = world.told("ship");
    assert!(told.starts_with("failed (") && told.contains("not today"), "{told}");
    world.run(&["retry", "ship"]).exits(0);
    world.run(&unattended).exits(4);
    world.run(&["approve", "ship"]).exits(0);
    world.run(&unattended).exits(0);
    world.ran_once(&["other.1", "after.1"]);
}
