//! Files that a worker puts where ilchul reads: never followed, never waited for, never large.

use std::fs;

use super::world::World;

/// Runs one task that puts a FIFO at `path` and is to show what it changed; answers how it ended.
fn with_fifo(path: &str) -> String {
    let run = format!("echo x > src/new; f={path}; rm -f $f; mkfifo $f");
    let world = World::with(&format!("tasks: {{ a: {{ run: '{run}', evidence: [ {{ diff: {{}} }} ] }} }}"));
    let common = world.repo().join(".git");
    let kept: Vec<_> = ["config", "packed-refs", "info/exclude", "shallow"]
        .map(|name| (common.join(name), fs::read(common.join(name)).ok()))
        .into();
    assert!(world.start_up().wait().code >= 0);
    // The repository as it was: the answer is asked with everybody's own eyes.
    for (file, bytes) in kept {
        match bytes {
            Some(bytes) => {
                let _ = fs::remove_file(&file);
                fs::write(file, bytes).unwrap();
            }
            None => drop(fs::remove_file(file)),
        }
    }
    world.told("a")
}

#[test]
fn s10_a_fifo_where_git_reads_hangs_nobody_and_proves_nothing() {
    let common = "$(git rev-parse --git-common-dir)";
    let entry = "$(git rev-parse --git-dir)";
    for path in [
        ".gitignore",
        "src/.gitattributes",
        &format!("{entry}/index"),
        &format!("{entry}/HEAD"),
        &format!("{common}/refs/heads/ilchul/$ILCHUL_RUN/a.1"),
        &format!("{common}/info/attributes"),
        &format!("{common}/config"),
        &format!("{common}/packed-refs"),
        &format!("{common}/shallow"),
        &format!("{common}/objects/info/alternates"),
    ] {
        let told = with_fifo(path);
        assert!(told.starts_with("failed (unverifiable: diff"), "{path}: {told}");
    }
    // Where git reads nothing it is only a file that no commit can hold.
    assert_eq!(with_fifo("src/pipe"), "completed");
}
