//! `doctor` for the other machine.

use std::fs;

use crate::remote::Remote;

/// What any machine has.
pub const TOOLS: [&str; 12] =
    ["sh", "env", "sed", "grep", "cut", "head", "tr", "ls", "uname", "sha256sum", "dirname", "printf"];

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

#[test]
fn doctor_tells_before_the_first_run_what_that_machine_lacks() {
    let remote = Remote::with("tasks: { a: { run: 'true' } }\n");
    let said: serde_json::Value = serde_json::from_str(&remote.ok(&["doctor", "--json"])).unwrap();
    let lines = said["data"].as_array().unwrap();
    let found = |what: &str| lines.iter().find(|line| line["what"] == what).unwrap()["found"].to_string();
    assert!(found("git on there").contains("git version"), "{said}");
    assert!(found("folder on there").contains("`up` makes it"), "{said}");
    // A machine without git, and without a cluster.
    let mut remote = remote;
    remote.with_tools_only(&TOOLS);
    let ran = remote.run(&["doctor", "--session", "slurm"]).exits(1);
    for tool in ["git", "sbatch"] {
        assert!(ran.stdout.contains(&format!("fail  {tool} on there: it isn't there")), "{}", ran.stdout);
    }
}
