//! `doctor` for the other machine.

use std::fs;

use crate::remote::Remote;

#[test]
fn doctor_looks_at_the_way_there_and_then_at_the_machine() {
    let remote = Remote::with("tasks: { a: { run: 'true' } }\n");
    let first = remote.ok(&["doctor"]);
    assert!(first.contains("link to there: ssh there answers"), "{first}");
    assert!(first.contains("it isn't there; `up` makes it"), "{first}");
    remote.up().exits(0);
    let second = remote.ok(&["doctor"]);
    assert!(second.contains("folder on there: ~/ilchul/repo: made for"), "{second}");
    assert!(second.contains("journal: readable: 1 run"), "{second}");
    fs::create_dir_all(remote.home().join("full")).unwrap();
    fs::write(remote.home().join("full/x"), "").unwrap();
    let full = crate::world::ran(&remote.on("there:full", &["doctor"]).output().unwrap()).exits(1);
    assert!(full.stdout.contains("no repository"), "{}", full.stdout);
}
