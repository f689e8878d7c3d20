//! `doctor` in a plain repository, a bare one, and with things in the way.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::world::{Said, World};

/// The finding of this name.
fn finding(said: &Said, what: &str) -> Value {
    let data = said.data();
    let found = data.as_array().unwrap().iter().find(|finding| finding["what"] == what);
    found.unwrap_or_else(|| panic!("nothing on {what} in {data}")).clone()
}

fn level(said: &Said, what: &str) -> String {
    finding(said, what)["level"].as_str().unwrap().to_owned()
}

#[test]
fn a_plain_repository_is_well_and_nothing_is_made_in_it() {
    let world = World::repository();
    let before = world.listing();
    let said = world.run(&["doctor", "--session", "subprocess"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    let top = world.path("").display().to_string();
    let lines: Vec<String> = said.out.replace(&top, "<top>/").lines().map(str::to_owned).collect();
    for expected in [
        "ok    repository: `<top>/repo`, with a checkout.",
        "ok    sessions: `subprocess` needs nothing.",
        "ok    home: `<top>/repo.ilchul` isn't made yet.",
        "ok    journal: none yet.",
        "ok    supervisor: none is running.",
        "ok    remnants: no half-made worktrees.",
        "ok    git locks: none.",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{expected} in\n{}", said.out);
    }
    let starts =
        |start: &str| assert!(lines.iter().any(|line| line.contains(start)), "{start} in\n{}", said.out);
    ["git: 2.", "inotify watches: ", "inotify instances: ", "file system: ", "free disk: "]
        .into_iter()
        .for_each(starts);
    assert_eq!(world.listing(), before);
}

#[test]
fn every_finding_has_all_keys_for_scripts() {
    let said = World::repository().run(&["doctor", "--json"]);
    for finding in said.data().as_array().unwrap() {
        let keys: Vec<&String> = finding.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["advice", "found", "level", "what"]);
        assert!(["ok", "warn", "fail"].contains(&finding["level"].as_str().unwrap()), "{finding}");
    }
}

#[test]
fn a_bare_repository_fails_with_its_reason() {
    let world = World::new();
    world.git(&["init", "--quiet", "--bare"]);
    let said = world.run(&["doctor"]);
    assert_eq!(said.code, 1);
    let top = world.path("").display().to_string();
    let expected = "fail  repository: `<top>/repo` is bare: it has no checkout to work beside. \
        Run ilchul inside a git repository with at least one commit.\n";
    assert!(said.out.replace(&top, "<top>/").contains(expected), "{}", said.out);
    assert_eq!(level(&world.run(&["doctor", "--json"]), "repository"), "fail");
}

#[test]
fn a_missing_tmux_is_a_warning_unless_it_was_named() {
    let mut world = World::repository();
    std::os::unix::fs::symlink(which("git"), world.path("empty/git")).unwrap();
    world.set("PATH", world.path("empty"));
    let said = world.run(&["doctor", "--json"]);
    assert_eq!((said.code, level(&said, "tmux").as_str()), (0, "warn"), "{said:?}");
    let said = world.run(&["doctor", "--json", "--session", "tmux"]);
    assert_eq!((said.code, level(&said, "tmux").as_str()), (1, "fail"));
    assert_eq!(finding(&said, "tmux")["found"], "there is no `tmux` in `PATH`");
    world.set("PATH", world.path("user"));
    assert_eq!(level(&world.run(&["doctor", "--json"]), "git"), "fail");
}

fn which(program: &str) -> std::path::PathBuf {
    let folders = ["/usr/local/bin", "/usr/bin", "/bin"].map(std::path::Path::new);
    folders.iter().map(|folder| folder.join(program)).find(|path| path.exists()).unwrap()
}

#[test]
fn a_tmux_server_that_is_not_there_yet_is_no_fault() {
    let said = World::repository().run(&["doctor", "--json", "--session", "tmux"]);
    assert_eq!((said.code, level(&said, "tmux").as_str()), (0, "ok"), "{said:?}");
    let found = finding(&said, "tmux server")["found"].clone();
    assert!(found.as_str().unwrap().ends_with("one is started when it is needed"), "{found}");
}

#[test]
fn r4b_a_lock_of_gits_is_reported_with_its_age_and_stays() {
    let world = World::repository();
    world.write("repo/.git/index.lock", "");
    let said = world.run(&["doctor", "--json"]);
    let found = finding(&said, "git locks");
    assert_eq!((said.code, &found["level"]), (0, &"warn".into()));
    let text = found["found"].as_str().unwrap();
    assert!(text.contains("repo/.git/index.lock` (") && text.ends_with("s old)"), "{text}");
    assert!(world.path("repo/.git/index.lock").exists());
}

#[test]
fn a_home_that_others_may_write_or_whose_journal_is_damaged_fails() {
    let world = World::repository();
    let home = world.path("repo.ilchul");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    let said = world.run(&["doctor", "--json"]);
    assert_eq!((said.code, level(&said, "home").as_str()), (1, "fail"));
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(world.run(&["doctor"]).code, 0);
    world.write("repo.ilchul/journal.db", &"no database ".repeat(100));
    let said = world.run(&["doctor", "--json"]);
    assert_eq!((said.code, level(&said, "journal").as_str()), (1, "fail"));
}

#[test]
fn a_half_made_worktree_of_ours_is_listed_and_stays() {
    let world = World::repository();
    let entry = "repo/.git/worktrees/ilchul.20260101-000000-abcd.fix.1";
    fs::create_dir_all(world.path(entry)).unwrap();
    let said = world.run(&["doctor", "--json"]);
    let found = finding(&said, "remnants");
    assert_eq!((said.code, &found["level"]), (0, &"warn".into()), "{said:?}");
    assert!(found["found"].as_str().unwrap().starts_with("1 half-made worktree: `"), "{found}");
    assert!(world.path(entry).exists());
}

#[test]
fn a_home_inside_of_the_repository_fails() {
    let world = World::repository();
    let said = world.run(&["doctor", "--json", "--home", "inside"]);
    assert_eq!((said.code, level(&said, "repository").as_str()), (1, "fail"), "{said:?}");
}
