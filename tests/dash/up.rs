//! `up` on a terminal of 80 columns: lines that stay, a few below them that move, and the record.

use super::terminal::Terminal;
use super::world::{World, wait_until};

const STORY: &str = "limits: { workers: 2 }\n\
    tasks:\n\
    \x20 build: { run: 'until test -e $W/go; do sleep 0.02; done' }\n\
    \x20 ship: { run: 'true', evidence: [ { exit: 0 }, { approval: { message: 'Ship it to all of those who asked?' } } ] }\n\
    \x20 last: { run: 'true', needs: [build, ship] }\n";

/// How many lines of the screen begin so.
fn beginning(screen: &str, with: &str) -> usize {
    screen.lines().filter(|line| line.starts_with(with)).count()
}

#[test]
fn it_shows_how_far_it_is_what_runs_and_the_line_to_type_and_ends_with_the_record() {
    let world = World::with(STORY);
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul("up --session subprocess");
    terminal.await_line(&["[", "] 0 of 3 tasks ended"]);
    terminal.await_line(&["> build", " s"]);
    terminal.await_that("what waits, with the line to type below it", |screen| {
        let lines: Vec<&str> = screen.lines().collect();
        let asks = lines
            .iter()
            .position(|line| *line == "! ship  asks for your approval: Ship it to all of those who asked?");
        asks.is_some_and(|at| lines.get(at + 1) == Some(&"  ilchul approve ship, or ilchul deny ship"))
    });
    // The line that stays doesn't break what is to be typed.
    terminal.await_screen("\n           (ilchul approve ship, or ilchul deny ship)\n");
    world.ok(&["approve", "ship"]);
    terminal.await_line(&["1 of 3 tasks ended"]);
    // In the middle of a picture there may be more or less.
    terminal.await_that("one bar", |screen| (beginning(screen, "["), beginning(screen, "> build")) == (1, 1));
    world.touch("go");
    terminal.await_screen("3 completed");
    terminal.await_that("nothing that moves any more", |screen| beginning(screen, "[") == 0);
    terminal.line("clear; echo code $?");
    terminal.await_screen("code 0");
}

#[test]
fn a_new_size_and_a_stop_leave_no_line_behind_and_take_none_of_the_shells() {
    let world = World::with(STORY);
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul("up --session subprocess");
    terminal.await_line(&["> build", " s"]);
    terminal.await_screen("! ship  asks");
    for columns in [40, 60, 30, 80] {
        terminal.resize(columns, 24);
        // Two pictures later nothing of the old ones is there.
        let age = |screen: &str| screen.lines().find(|line| line.starts_with("> build")).map(str::to_owned);
        for _ in 0..2 {
            let before = age(&terminal.screen());
            wait_until("the next picture", || age(&terminal.screen()) != before);
        }
        terminal
            .await_that("one bar", |screen| beginning(screen, "[") == 1 && beginning(screen, "> build") == 1);
    }
    terminal.key("C-z");
    terminal.await_screen("Stopped");
    terminal.line("echo mine $((6 * 7))");
    terminal.await_screen("mine 42");
    terminal.line("fg");
    terminal.await_that("a bar below the shell's own lines", |screen| {
        let at = |what: &str| screen.rfind(what);
        at("mine 42").is_some_and(|mine| at("tasks ended").is_some_and(|bar| bar > mine))
    });
    world.ok(&["approve", "ship"]);
    world.touch("go");
    terminal.await_screen("3 completed");
    assert!(terminal.screen().contains("mine 42"), "{}", terminal.screen());
}

#[test]
fn without_a_terminal_every_line_has_its_time_and_as_json_every_event_is_a_line() {
    let world = World::with("tasks:\n  a: { run: 'true' }\n  b: { run: 'exit 3', needs: [a] }\n");
    let ran = world.up().exits(3);
    assert!(!ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    let timed = |line: &&str| line.as_bytes().get(2) == Some(&b':') && line.as_bytes().get(5) == Some(&b':');
    let told: Vec<&str> = ran.stderr.lines().filter(timed).map(|line| &line[9..]).collect();
    assert_eq!(told[..3], ["> a  started", "> a  ended, checking its evidence", "ok a  completed"]);
    let ran = world.run(&["up", "--new", "--session", "subprocess", "--output", "json"]).exits(3);
    let events: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"run.started"), Some(&"run.ended")));
    assert_eq!((events.len(), ran.stderr.as_str()), (kinds.len(), ""), "nothing beside them");
}
