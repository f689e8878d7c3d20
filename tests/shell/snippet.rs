//! The lines for tmux, fed to a real server.

use std::fs;

use super::pane::Pane;
use super::world::World;
use super::{STORY, story};

#[test]
fn the_snippet_is_taken_by_tmux_and_touches_only_what_it_says() {
    let world = story();
    Pane::start(&world, "plain", "sh");
    let keys = world.tmux(&["list-keys"]).exits(0).stdout;
    feed(&world, &[]);
    feed(&world, &[]);
    let shown = world.tmux(&["show-options", "-gv", "status-right"]).exits(0).stdout;
    assert_eq!(shown.matches("@ilchul").count(), 1, "a configuration is read more than once: {shown}");
    assert_eq!(world.tmux(&["list-keys"]).exits(0).stdout, keys, "no key is bound that nobody asked for");
    feed(&world, &["--keys", "--key", "F9"]);
    let bound = world.tmux(&["list-keys"]).exits(0).stdout;
    let new: Vec<&str> = bound.lines().filter(|line| !keys.contains(line)).collect();
    assert!(new.iter().all(|line| line.contains("ilchul")), "{new:?}");
    assert_eq!(
        new.iter().filter(|line| line.contains("-T prefix")).count(),
        1,
        "one of the prefix's: {new:?}"
    );
    let lost: Vec<&str> = keys.lines().filter(|line| !bound.contains(line)).collect();
    assert_eq!(lost, [""; 0]);
}

#[track_caller]
fn feed(world: &World, args: &[&str]) {
    let file = world.root().join("snippet.conf");
    fs::write(&file, world.ok(&[&["tmux-snippet"], args].concat())).unwrap();
    let took = world.tmux(&["source-file", file.to_str().unwrap()]).exits(0);
    assert_eq!((took.stdout.as_str(), took.stderr.as_str()), ("", ""));
}

#[test]
fn the_segment_says_how_far_the_run_is_in_whatever_folder_the_pane_is() {
    let mut world = World::new();
    // A folder whose name would be commands, if anybody pasted it.
    let odd = world.root().join("it's; $(touch x) \"odd\"");
    fs::create_dir(&odd).unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_ilchul")).parent().unwrap().to_owned();
    let paths = std::env::split_paths(&world.path).collect::<Vec<_>>();
    world.path = std::env::join_paths(std::iter::once(program).chain(paths)).unwrap();
    let repository = odd.join("repo");
    fs::rename(world.repo(), &repository).unwrap();
    std::os::unix::fs::symlink(&repository, world.repo()).unwrap();
    world.workflow(STORY);
    world.run(&["up", "--session", "subprocess", "--unattended"]).exits(4);

    let said = world.ok(&["status", "--line"]);
    assert_eq!(said, "test: 2/3 done, 1 for you, paused\n");
    Pane::start(&world, "here", &format!("cd {} && exec sh", world.repo().display()));
    feed(&world, &[]);
    // Jobs of the status line run only while somebody looks at it.
    let client = Pane::start(&world, "client", "env -u TMUX tmux attach -t here");
    client.until("the segment", |screen| screen.contains("2/3 done, 1 for you, paused"));
    assert!(!odd.join("x").exists() && !repository.join("x").exists());
}

#[test]
fn the_segment_is_silent_where_there_is_nothing_to_say() {
    let world = World::new();
    let said = world.run(&["status", "--line"]).exits(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    let mut command = world.ilchul(&["status", "--line"]);
    let said = super::world::ran(&command.current_dir(world.root()).output().unwrap()).exits(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
    assert_eq!(world.data(&["status", "--line"])["line"], serde_json::Value::Null);
}
