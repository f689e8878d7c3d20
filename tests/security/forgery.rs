//! What a worker says of itself and of others, and what it does to them, is never believed
//! (S16, S18, S19, S21).
//!
//! It leaves out the evidence kinds' own rules, and an edited journal row (S17), which the
//! acceptance tests name.

use std::fs;

use super::world::World;

/// A shell function that reports under this worker's or somebody else's token and task.
const REPORT: &str = "token() { sed -n 's/.*\"token\" *: *\\([0-9]*\\).*/\\1/p' \"$1/assignment.json\"; }\n\
    report() { printf '{\"schema\":\"ilchul.report/1\",\"task\":\"%s\",\"attempt\":1,\"token\":%s,\"status\":\"done\",\"summary\":\"s\"%s}' \"$1\" \"$2\" \"$4\" > \"$3/.tmp/forged\"; mv \"$3/.tmp/forged\" \"$3/report.json\"; }\n\
    COMMIT='git -c user.name=w -c user.email=w@localhost commit -q'\n";

/// A world with `tasks`, whose `sh $W/<name>` scripts are given.
fn world(tasks: &str, scripts: &[(&str, &str)]) -> World {
    let world = World::with(&format!("tasks:\n{tasks}"));
    for (name, script) in scripts {
        let script = script.replace("$W", world.root().to_str().unwrap());
        fs::write(world.root().join(name), format!("set -e\n{REPORT}{script}\n")).unwrap();
    }
    world
}

#[test]
fn s16_a_siblings_report_with_the_right_token_in_another_workers_mail_is_refused() {
    let world = world(
        "  a: { run: 'until test -e $W/go; do sleep 0.02; done; exit 7' }\n  b: { run: 'sh $W/b' }\n",
        &[(
            "b",
            "theirs=${ILCHUL_MAIL%b.1}a.1\nuntil test -e $theirs/ack.json; do sleep 0.02; done\n\
            report a $(token $theirs) \"$ILCHUL_MAIL\" ''",
        )],
    );
    let up = world.start_up();
    world.await_task("b", "failed");
    assert_eq!(world.told("a"), "in_progress", "it moved nobody else's task");
    world.touch("go");
    up.wait().exits(3);
    assert!(world.told("b").starts_with("failed (no_report"), "{}", world.told("b"));
    assert!(world.told("a").contains("exit code 7"), "{}", world.told("a"));
    assert_eq!(world.events().iter().filter(|event| event.kind() == "report.refused").count(), 1);
}

#[test]
fn s18_what_a_worker_does_to_anothers_mail_branch_and_beats_proves_nothing_for_it() {
    let world = world(
        "  a: { run: 'echo mine > mine.txt; until test -e $W/go; do sleep 0.02; done', evidence: [ { exit: 0 }, { diff: { paths: [mine.txt] } } ] }\n\
         \x20 b: { run: 'sh $W/b' }\n",
        &[(
            "b",
            "theirs=${ILCHUL_MAIL%b.1}a.1\nuntil test -e $theirs/ack.json; do sleep 0.02; done\n\
            echo evil > evil.txt; git add evil.txt; $COMMIT -m evil\n\
            git update-ref refs/heads/ilchul/$ILCHUL_RUN/a.1 HEAD\n\
            echo '{\"schema\":\"ilchul.worker/1\",\"token\":999,\"seq\":1}' > $theirs/heartbeat.json\n\
            echo '{\"schema\":\"ilchul.worker/1\",\"token\":999,\"code\":0}' > $theirs/exit.json\n\
            echo '{\"schema\":\"ilchul.worker/1\",\"worker\":\"a.1\",\"nonce\":\"forged\",\"pid\":1,\"started_at\":\"x\"}' > $theirs/ready.json",
        )],
    );
    let up = world.start_up();
    world.await_task("b", "completed");
    assert_eq!(world.told("a"), "in_progress", "an exit under another token ends nobody");
    world.touch("go");
    up.wait().exits(0);
    let state = world.state();
    let diff = &state.tasks[0].evidence[1];
    assert_eq!(
        diff.facts.get("paths"),
        Some(&serde_json::json!(["mine.txt"])),
        "its own tree counts: {}",
        diff.reason
    );
}

#[test]
fn s19_a_forged_history_or_objects_kept_elsewhere_are_not_believed() {
    let work = "echo x > src/new.txt; git add -A";
    for (lie, why) in [
        // An orphan that grafts and replacements turn into a descendant.
        (
            "base=$(git rev-parse HEAD); git checkout -q --orphan o; $COMMIT -m orphan; mine=$(git rev-parse HEAD); \
          git update-ref refs/heads/ilchul/$ILCHUL_RUN/a.1 $mine; git checkout -q ilchul/$ILCHUL_RUN/a.1 2>/dev/null || git symbolic-ref HEAD refs/heads/ilchul/$ILCHUL_RUN/a.1; \
          git replace --graft $mine $base; echo $mine $base > $(git rev-parse --git-common-dir)/info/grafts; \
          git commit-graph write --reachable 2>/dev/null || true",
            "doesn't descend",
        ),
        // A commit whose parent is a commit that isn't there.
        (
            "tree=$(git write-tree); mine=$(printf 'tree %s\\nparent %s\\nauthor w <w> 1 +0000\\ncommitter w <w> 1 +0000\\n\\nforged\\n' $tree 1111111111111111111111111111111111111111 | git hash-object -t commit -w --stdin --literally); \
          git update-ref HEAD $mine",
            "",
        ),
        // Objects in a store that only the worker knows.
        (
            "export GIT_OBJECT_DIRECTORY=$W/store GIT_ALTERNATE_OBJECT_DIRECTORIES=$(git rev-parse --git-common-dir)/objects; mkdir -p $W/store; \
          git add -A; $COMMIT -m away",
            "",
        ),
        // The same, made known to everybody.
        (
            "common=$(git rev-parse --git-common-dir); mkdir -p $W/store; \
          GIT_OBJECT_DIRECTORY=$W/store GIT_ALTERNATE_OBJECT_DIRECTORIES=$common/objects sh -c \"git add -A; $COMMIT -m away\"; \
          echo $W/store > $common/objects/info/alternates",
            "alternates",
        ),
        // A file's bytes are gone.
        (
            "$COMMIT -m lost; blob=$(git rev-parse HEAD:src/new.txt); \
          rm -f $(git rev-parse --git-common-dir)/objects/$(echo $blob | cut -c1-2)/$(echo $blob | cut -c3-)",
            "",
        ),
        // The branch is only another name of somebody else's.
        (
            "$COMMIT -m other; git branch elsewhere; git symbolic-ref refs/heads/ilchul/$ILCHUL_RUN/a.1 refs/heads/elsewhere 2>/dev/null",
            "own branch",
        ),
    ] {
        let world = world(
            "  a: { run: 'sh $W/a', evidence: [ { diff: {} } ] }\n",
            &[("a", &format!("{work}\n{lie}"))],
        );
        let ran = world.up();
        let told = world.told("a");
        let believed = told == "completed" || !told.starts_with("failed (");
        assert!(
            !believed && told.contains(why) && !told.contains("exit code"),
            "{lie}: {told}\n{}",
            ran.stderr
        );
    }
}

#[test]
fn s21_what_a_report_asks_for_is_recorded_and_not_done() {
    let world = world(
        "  a: { run: 'sh $W/a' }\n",
        &[(
            "a",
            "report a $(token \"$ILCHUL_MAIL\") \"$ILCHUL_MAIL\" ',\"cleanup\":[\"'$ILCHUL_TREE'\"],\"remove\":true,\"release\":\"a.1\",\
           \"safe_to_close\":true,\"commands\":[\"touch $W/fired\"],\"tasks\":[{\"id\":\"more\",\"run\":\"touch $W/fired\"}],\
           \"next\":{\"run\":\"touch $W/fired\"},\"approve\":[\"a\"],\"evidence\":[{\"kind\":\"command\",\"command\":\"touch $W/fired\"},\
           \
           {\"kind\":\"log\",\"path\":\".git\"},{\"kind\":\"artifact\",\"path\":\"file:///etc/passwd\"}]'",
        )],
    );
    world.up().exits(0);
    let state = world.state();
    assert_eq!((state.tasks.len(), state.tasks[0].evidence.len()), (1, 1), "only what was declared");
    assert_eq!(state.workers["a.1"].phase.word(), "completed-retained");
    assert!(world.tree("a.1").join("README").exists() && !world.root().join("fired").exists());
    // Kept as it was said, for whoever looks.
    assert!(
        world.ok(&["evidence", "a", "--json"]).contains("file:///etc/passwd")
            || world.ok(&["events", "--json"]).contains("file:///etc/passwd")
    );
}
