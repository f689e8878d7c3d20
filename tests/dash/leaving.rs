//! However the dashboard is left, the terminal is as it was; and where there is none, it says so.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::terminal::Terminal;
use super::world::{World, wait_for};

/// A world whose run has ended, and a dashboard on it.
fn shown(world: &World) -> Terminal<'_> {
    world.up().exits(0);
    let terminal = Terminal::new(world, 80, 24);
    terminal.ilchul("dash");
    terminal.await_screen("test has ended with success");
    terminal
}

/// The dashboard's process.
fn dash(terminal: &Terminal<'_>) -> Pid {
    let shell: i32 = terminal.is("#{pane_pid}").parse().unwrap();
    let pid = wait_for("the dashboard's process", || {
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).ok()?;
        children.split_whitespace().next()?.parse::<i32>().ok()
    });
    assert!(pid > 1);
    Pid::from_raw(pid)
}

const ONE: &str = "tasks:\n  a: { run: 'true' }\n";

#[test]
fn signals_give_the_terminal_back() {
    let world = World::with(ONE);
    let terminal = shown(&world);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        kill(dash(&terminal), signal).unwrap();
        terminal.await_shell(4);
        terminal.line("clear");
        terminal.ilchul("dash");
        terminal.await_screen("test has ended with success");
    }
    terminal.key("C-c");
    terminal.await_shell(0);
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_comes_back() {
    let world = World::with(ONE);
    let terminal = shown(&world);
    for stop in [None, Some(Signal::SIGTSTP)] {
        match stop {
            None => terminal.key("C-z"),
            Some(signal) => kill(dash(&terminal), signal).unwrap(),
        }
        terminal.await_prompt();
        terminal.line("clear; echo here $((6 * 7))");
        terminal.await_screen("here 42");
        terminal.line("fg");
        terminal.await_line(&["> a", "completed"]);
    }
    terminal.key("q");
    terminal.await_shell(0);
}

#[test]
fn without_a_terminal_or_as_json_it_names_what_there_is_instead() {
    let world = World::with(ONE);
    let nowhere = world.run(&["dash"]).exits(1);
    assert_eq!(
        nowhere.stderr,
        "error: failed to show the dashboard: there is no terminal here.\n\
         hint: Run `ilchul status --watch` to follow the run as text.\n"
    );
    let (code, error) = world.refused(&["dash"]);
    assert_eq!((code, error["code"].as_str()), (2, Some("usage")));
    assert!(error["hint"].as_str().unwrap().contains("ilchul status --watch --json"));
}

#[test]
fn where_nothing_has_run_yet_it_says_so_on_the_shells_screen() {
    let world = World::with(ONE);
    let terminal = Terminal::new(&world, 80, 24);
    terminal.ilchul("dash");
    terminal.await_screen("there has been none here");
    terminal.await_shell(1);
}
