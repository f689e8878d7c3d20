//! What is shown follows the journal: of a run at work, of one that nobody drives, of the next.

use super::terminal::Terminal;
use super::world::World;

const TWO: &str = "tasks:\n\
    \x20 first: { run: 'printf \"one\\\\033[31mtwo\\\\033]0;x\\\\007\\\\n\"; until test -e $W/go; do sleep 0.02; done; echo done' }\n\
    \x20 second: { run: 'true', needs: [first] }\n";

#[test]
fn a_run_is_followed_to_its_end_and_into_the_next_one() {
    let world = World::with(TWO);
    let up = world.start_up();
    world.await_task("first", "in_progress");
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul("dash");
    terminal.await_line(&["test is running", &world.run_id().unwrap()]);
    terminal.await_line(&["> first", "in_progress", "1/1"]);
    terminal.await_line(&["second", "pending", "waits for task `first`"]);
    terminal.await_screen("What would change it:");
    terminal.key("l");
    terminal.await_screen("onetwo\\u{1b}]0;x\\u{7}");
    world.touch("go");
    terminal.await_screen("\ndone");
    terminal.await_line(&["first", "completed"]);
    terminal.await_line(&["test has ended with success"]);
    up.wait().exits(0);

    let first = world.run_id().unwrap();
    world.run(&["up", "--new", "--session", "subprocess"]).exits(0);
    let next = world.run_id().unwrap();
    assert_ne!(first, next);
    terminal.await_line(&["ended with success", &next]);
    terminal.key("q");
    terminal.await_shell(0);
}

#[test]
fn a_run_that_nobody_drives_is_shown_with_the_way_on_and_so_is_one_that_was_named() {
    let world = World::with(TWO);
    let up = world.start_up();
    world.await_task("first", "in_progress");
    up.kill();
    let run = world.run_id().unwrap();
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul(&format!("dash --run {}", &run[..run.len() - 1]));
    terminal.await_screen("Nobody drives this run. Go on with: ilchul up");
    let up = world.start_up();
    terminal.await_screen("test is running");
    world.touch("go");
    up.wait().exits(0);
    terminal.await_screen("test has ended with success");
    world.run(&["up", "--new", "--session", "subprocess"]).exits(0);
    terminal.key("e");
    terminal.await_screen("verified");
    terminal.await_line(&["ended with success", &run]);
}

#[test]
fn every_size_has_its_picture_and_a_new_size_is_drawn_at_once() {
    let world = World::with(TWO);
    world.touch("go");
    world.up().exits(0);
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul("dash");
    terminal.await_line(&["TASK", "STATE", "AGE", "TRY", "REASON"]);
    assert!(!terminal.screen().contains("WORKER"));
    terminal.resize(200, 60);
    terminal.await_line(&["WORKER", "HEARD", "PROGRESS", "EVIDENCE"]);
    terminal.await_line(&["first", "completed", "first.1", "1 of 1 ok"]);
    for (columns, lines) in [(20, 5), (5, 3), (2, 2), (80, 24)] {
        terminal.resize(columns, lines);
    }
    terminal.await_line(&["> first", "completed"]);
    terminal.key("q");
    terminal.await_shell(0);
}

#[test]
fn a_key_right_behind_a_new_size_is_not_lost() {
    let world = World::with(TWO);
    world.touch("go");
    world.up().exits(0);
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul("dash");
    terminal.await_line(&["> first", "completed"]);
    for number in 0..20 {
        let (key, task) = if number % 2 == 0 { ("j", "> second") } else { ("k", "> first") };
        terminal.resize(60 + number, 24);
        terminal.key(key);
        terminal.await_line(&[task, "completed"]);
    }
    // A lone Escape, told from the beginning of a key by what doesn't follow.
    terminal.key("?");
    terminal.await_screen("any other key goes back");
    terminal.key("Escape");
    terminal.await_line(&["> first", "completed"]);
}
