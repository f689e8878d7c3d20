//! Keys that reach beyond the screen: a worker's terminal, decisions, texts from files.

use super::terminal::Terminal;
use super::world::{World, wait_until};

#[test]
fn enter_goes_to_the_workers_terminal_and_leaving_it_comes_back() {
    let world = World::with("tasks:\n  ask: { run: 'echo who is there; cat' }\n");
    let up = world.start(&["up", "--session", "tmux"]);
    world.await_task("ask", "in_progress");
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul("dash");
    terminal.await_line(&["> ask", "in_progress"]);
    terminal.key("Enter");
    terminal.await_screen("who is there");
    terminal.await_that("another picture", |screen| !screen.contains("REASON"));
    terminal.line("it is me");
    terminal.await_that("the answer", |screen| screen.matches("it is me").count() == 2);
    // Keys that come within a millisecond are a paste to tmux, which is no way to leave; and a
    // second one of these would be the worker's.
    terminal.key("C-b");
    wait_until("tmux to take its own key", || {
        world.tmux(&["list-clients", "-F", "#{client_prefix}"]).stdout.contains('1')
    });
    terminal.key("d");
    terminal.await_screen("Back from `ask.1`.");
    terminal.await_line(&["> ask", "in_progress"]);
    terminal.key("l");
    terminal.await_screen("it is me");
    // What stops is asked first; any other key is a no.
    terminal.key("c");
    terminal.await_screen("Cancel `ask`?");
    terminal.key("n");
    terminal.await_screen("Nothing was done.");
    assert_eq!(world.told("ask"), "in_progress");
    terminal.key("c");
    terminal.await_screen("Cancel `ask`?");
    terminal.key("y");
    terminal.await_screen("`ask` is cancelled.");
    terminal.await_line(&["> ask", "cancelled"]);
    up.wait().exits(3);
    terminal.key("q");
    terminal.await_shell(0);
}

#[test]
fn an_approval_is_found_with_w_and_given_with_two_keys_of_its_own() {
    let world = World::with(
        "tasks:\n\
         \x20 early: { run: 'true' }\n\
         \x20 ship: { run: 'echo changed > new.txt; git add new.txt; git -c user.name=t -c user.email=t@t commit -qm New', needs: [early], evidence: [ { exit: 0 }, { approval: { message: 'Ship it?' } } ] }\n",
    );
    let up = world.start_up();
    world.await_task("ship", "verifying");
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul("dash");
    terminal.await_screen("! ship waits for you: w goes there");
    terminal.key("w");
    terminal.await_line(&[">!ship", "verifying"]);
    terminal.key("D");
    terminal.await_screen("+changed");
    terminal.key("a");
    terminal.await_screen("`ship` asks for your approval: Ship it?");
    terminal.key("a");
    terminal.await_screen("`ship` is approved.");
    up.wait().exits(0);
    terminal.await_line(&["ship", "completed"]);
    terminal.key("q");
    terminal.await_shell(0);
}

#[test]
fn a_retry_without_a_supervisor_is_recorded_and_says_how_to_go_on() {
    let world = World::with("tasks:\n  build: { run: 'echo out of paint; exit 3' }\n");
    world.up().exits(3);
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul("dash");
    terminal.await_screen("x build failed: w goes there");
    terminal.key("Enter");
    terminal.await_screen("a session of kind `subprocess` has no terminal.");
    terminal.key("l");
    terminal.await_screen("out of paint");
    terminal.key("r");
    terminal.await_screen("Grant `build` one more attempt?");
    terminal.key("y");
    terminal.await_screen("No supervisor works: `ilchul up` goes on.");
    terminal.await_line(&["build", "ready"]);
    assert_eq!(world.told("build").split(' ').next(), Some("ready"));
}
