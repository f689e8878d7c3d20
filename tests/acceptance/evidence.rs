//! No evidence, no completion: whatever a worker says, and whichever way it lies.
//!
//! It leaves out the kinds' finer rules, which have tests of their own.

use super::world::World;

/// Runs one task with this evidence; answers how it ended.
fn verdict(run: &str, evidence: &str) -> (i32, String) {
    let world = World::with(&format!(
        "tasks:\n  a:\n    run: |\n      {}\n    evidence: {evidence}\n",
        run.replace('\n', "\n      ")
    ));
    let code = world.up().code;
    (code, world.told("a"))
}

/// It ends refuted, for this reason.
pub fn refuted(run: &str, evidence: &str, reason: &str) {
    let (code, told) = verdict(run, evidence);
    assert!(told.starts_with("failed (refuted: ") && told.contains(reason), "{evidence}: {told}");
    assert_eq!(code, 3);
}

/// It completes.
pub fn verified(run: &str, evidence: &str) {
    assert_eq!(verdict(run, evidence), (0, "completed".to_owned()), "{evidence}");
}

pub const COMMIT: &str = "git add -A && git -c user.name=w -c user.email=w@localhost commit -q -m work";

#[test]
fn law_2_done_without_the_declared_evidence_is_refuted_by_name() {
    refuted("true", "[ { artifact: out.txt } ]", "artifact: `out.txt` doesn't exist");
    refuted("exit 1", "[ { exit: 0 } ]", "exit: expected exit code 0, found exit code 1");
    refuted("true", "[ { exit: 3 } ]", "expected exit code 3, found exit code 0");
    verified("exit 3", "[ { exit: 3 } ]");
}

#[test]
fn an_exit_is_what_ilchul_saw_and_not_what_was_said() {
    verified("exit 0", "[ { exit: 0 } ]");
    refuted("exit 7", "[ { exit: 0 } ]", "exit: expected exit code 0, found exit code 7");
    // A report that says done doesn't make the exit another.
    let said = format!("{}\nexit 4", reporter("{\"kind\":\"exit\",\"command\":\"0\"}"));
    refuted(&said, "[ { exit: 0 } ]", "exit: expected exit code 0, found exit code 4");
    refuted("true", "[ { exit: 9 } ]", "exit: expected exit code 9, found exit code 0");
}

#[test]
fn law_2_a_suite_that_ran_zero_tests_is_green_and_completes_nothing() {
    let suite = |passed: u32| format!("echo 'test result: ok. {passed} passed' > suite.txt");
    let asked = "[ { command: 'cat suite.txt', match: 'test result: ok\\. [1-9]' } ]";
    refuted(&suite(0), asked, "command: its output doesn't match `test result: ok\\. [1-9]`");
    verified(&suite(3), asked);
}

#[test]
fn a_diff_with_a_file_that_looks_like_a_secret_is_refuted_by_its_name() {
    let any = "[ { diff: {} } ]";
    let why = |path: &str| format!("diff: looks like a secret, and `paths` doesn't name it: {path}");
    for path in [".env", "src/.env.local", "id_ed25519", "src/server.pem", ".npmrc", "src/credentials.json"] {
        refuted(&format!("echo x > {path}"), any, &why(path));
    }
    refuted(&format!("echo x > .env && {COMMIT}"), any, &why(".env"));
    // A pattern that happens to take it in isn't somebody who wants it in.
    refuted("echo x > .env", "[ { diff: { paths: ['**', '.*'] } } ]", &why(".env"));
    verified("echo x > .env", "[ { diff: { paths: ['.env'] } } ]");
    verified("echo x > .env.example; echo x > id_rsa.pub", any);
    // Names are all that is looked at.
    verified("echo 'PASSWORD=x' > notes.txt", any);
}

#[test]
fn e4_an_artifact_must_be_new_whole_and_inside() {
    refuted("ln -s /etc/passwd out.txt", "[ { artifact: out.txt } ]", "leads through a link");
    refuted(
        "mkdir real; ln -s real way; echo x > real/out.txt",
        "[ { artifact: way/out.txt } ]",
        "leads through a link",
    );
    refuted("true", "[ { artifact: README } ]", "`README` wasn't changed since the dispatch");
    refuted("cat README > x; mv x README", "[ { artifact: README } ]", "is the same as in the task's base");
    refuted("mkdir out.txt", "[ { artifact: out.txt } ]", "isn't a regular file");
    refuted("mkfifo out.txt", "[ { artifact: out.txt } ]", "isn't a regular file");
    verified("echo new > out.txt", "[ { artifact: out.txt } ]");
}

#[test]
fn a_command_is_run_by_ilchul_and_green_without_the_match_is_not_green() {
    refuted("true", "[ { command: 'exit 7' } ]", "command: it ended with exit code 7");
    let match_ = "[ { command: 'echo test result: ok. 0 passed', match: 'ok\\. [1-9]' } ]";
    refuted("true", match_, "its output doesn't match");
    refuted("true", "[ { command: 'sleep 600', timeout: 1s } ]", "it wasn't done after 1 s");
    verified("true", "[ { command: 'echo test result: ok. 3 passed', match: 'ok\\. [1-9]' } ]");
    // What the worker printed itself proves nothing.
    refuted("echo 'ok. 9'", "[ { command: 'true', match: 'ok\\. [1-9]' } ]", "its output doesn't match");
}

#[test]
fn a_diff_must_be_there_within_its_paths_and_committed_where_it_must_be_clean() {
    let diff = |rest: &str| format!("[ {{ diff: {{ paths: ['src/**'] {rest} }} }} ]");
    refuted("true", &diff(""), "diff: nothing changed");
    refuted("echo x > top.txt", &diff(""), "outside of `paths`: top.txt");
    refuted("seq 9 > src/a.txt", &diff(", max_lines: 5"), "9 changed lines, at most 5 are allowed");
    refuted("echo x > src/a.txt", &diff(", clean: true"), "uncommitted: src/a.txt");
    let elsewhere = format!("git switch -q -c other && echo x > src/a.txt && {COMMIT}");
    refuted(&elsewhere, &diff(""), "isn't on the task's own branch");
    let unrelated = format!("git update-ref -d HEAD && echo x > src/a.txt && {COMMIT}");
    refuted(&unrelated, &diff(""), "doesn't descend from the task's base");
    verified("true", &diff(", allow_none: true"));
    verified("echo x > src/a.txt", &diff(""));
    verified(&format!("echo x > src/a.txt && {COMMIT}"), &diff(", clean: true"));
}

/// A worker that reports by itself under the shim, with this evidence list.
pub fn reporter(evidence: &str) -> String {
    format!(
        "echo x > out.txt\n\
         token=$(sed -n 's/.*\"token\" *: *\\([0-9]*\\).*/\\1/p' \"$ILCHUL_MAIL/assignment.json\")\n\
         printf '{{\"schema\":\"ilchul.report/1\",\"task\":\"a\",\"attempt\":1,\"token\":%s,\"status\":\"done\",\"summary\":\"s\",\"evidence\":[%s]}}' \"$token\" '{evidence}' > \"$ILCHUL_MAIL/.tmp/r\"\n\
         mv \"$ILCHUL_MAIL/.tmp/r\" \"$ILCHUL_MAIL/report.json\""
    )
}

#[test]
fn e4_a_claimed_hash_or_commit_must_be_the_real_one() {
    let artifact =
        |hash: &str| format!("{{\"kind\":\"artifact\",\"path\":\"out.txt\",\"sha256\":\"{hash}\"}}");
    let forged = reporter(&artifact(&"0".repeat(64)));
    refuted(&forged, "[ { artifact: out.txt } ]", "the report claims SHA-256 000000");
    // sha256 of "x\n".
    let honest = reporter(&artifact("73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"));
    verified(&honest, "[ { artifact: out.txt } ]");
    let foreign = reporter(&format!("{{\"kind\":\"diff\",\"commit\":\"{}\"}}", "1".repeat(40)));
    refuted(&foreign, "[ { diff: { paths: [out.txt] } } ]", "the report claims commit 1111");
}

#[test]
fn an_exit_that_no_item_judges_is_fatal_when_it_is_not_zero() {
    let (code, told) = verdict("echo x > out.txt; exit 5", "[ { artifact: out.txt } ]");
    assert_eq!((code, told.as_str()), (3, "failed (fatal_exit: exit code 5)"));
}

#[test]
fn a_refuted_attempt_is_repaired_from_its_own_snapshot_with_what_was_found() {
    let world = World::with(
        "tasks:\n\
         \x20 a:\n\
         \x20   run: 'echo $ILCHUL_ATTEMPT >> tries.txt; test $(cat tries.txt | wc -l) -lt 2 || cp \"$ILCHUL_INPUTS\" out.txt'\n\
         \x20   retries: 1\n\
         \x20   evidence: [ { exit: 0 }, { artifact: out.txt } ]\n",
    );
    world.up().exits(0);
    let read = |name: &str| std::fs::read_to_string(world.tree("a.2").join(name)).unwrap();
    assert_eq!(read("tries.txt"), "1\n2\n");
    assert!(read("out.txt").contains("`out.txt` doesn't exist"), "{}", read("out.txt"));
    let inputs: serde_json::Value = serde_json::from_str(&read("out.txt")).unwrap();
    let told = &inputs["refuted"][0];
    assert_eq!(
        (&told["kind"], &told["verdict"], &told["about"]),
        (&"artifact".into(), &"refuted".into(), &"out.txt".into())
    );
    assert!(world.tree("a.1").join("tries.txt").exists(), "the refuted attempt's tree stays");
}

#[test]
fn a_plain_command_reads_what_was_refuted_and_repairs_it_from_where_the_last_attempt_stopped() {
    let world = World::with(
        "tasks:\n\
         \x20 a:\n\
         \x20   run: |\n\
         \x20     if ! test -e \"$ILCHUL_MAIL/refuted.md\"; then echo 'colour = blu' > config; exit 0; fi\n\
         \x20     cp \"$ILCHUL_MAIL/refuted.md\" seen.md; cp \"$ILCHUL_INPUTS\" seen.json\n\
         \x20     wanted=$(sed -n 's/^ *expected: \\([a-z]*\\).*/\\1/p' seen.md)\n\
         \x20     sed -i \"s/blu$/$wanted/\" config\n\
         \x20   retries: 1\n\
         \x20   evidence:\n\
         \x20     - exit: 0\n\
         \x20     - command: 'grep -q blue config || { echo expected: blue; exit 1; }'\n",
    );
    world.up().exits(0);
    let read = |name: &str| std::fs::read_to_string(world.tree("a.2").join(name)).unwrap();
    assert_eq!(read("config"), "colour = blue\n", "attempt 2 starts from the snapshot of attempt 1");
    let seen = read("seen.md");
    assert!(
        seen.contains("refuted: it ended with exit code 1\n") && seen.contains("\n      expected: blue\n"),
        "{seen}"
    );
    let inputs: serde_json::Value = serde_json::from_str(&read("seen.json")).unwrap();
    assert_eq!(inputs["refuted"].as_array().unwrap().len(), 1, "only what didn't hold");
    assert_eq!(inputs["refuted"][0]["log"], "expected: blue");
    let state = world.state();
    let snapshot = state.workers["a.1"].captured.clone().flatten().unwrap();
    assert_eq!(state.workers["a.2"].start, snapshot.commit);
    assert!(!world.mail("a.1").join("refuted.md").exists(), "nothing was refuted before the first");
}

#[test]
fn an_agent_s_prompt_holds_what_was_refuted_where_it_asks_for_it_or_at_its_end() {
    for (prompt, starts) in
        [("Fix. {{ refuted }} Go on.", "Fix. The last attempt"), ("Fix it.", "Fix it.\n\nThe last attempt")]
    {
        let world = World::with(&format!(
            "agents: {{ me: {{ adapter: command, argv: [sh, -c, 'cp \"$ILCHUL_PROMPT_FILE\" p.$ILCHUL_ATTEMPT; test $ILCHUL_ATTEMPT = 1 || echo x > out.txt; {} report --status done --summary s'] }} }}\n\
             tasks:\n  a: {{ agent: me, prompt: '{prompt}', retries: 1, evidence: [ {{ artifact: out.txt }} ] }}\n",
            env!("CARGO_BIN_EXE_ilchul")
        ));
        world.up().exits(0);
        let read = |name: &str| std::fs::read_to_string(world.tree("a.2").join(name)).unwrap();
        assert!(!read("p.1").contains("The last attempt"), "{}", read("p.1"));
        let told = read("p.2");
        assert!(
            told.starts_with(starts)
                && told.contains("- artifact `out.txt`, refuted: `out.txt` doesn't exist"),
            "{told}"
        );
        assert_eq!(told.matches("The last attempt").count(), 1, "{told}");
    }
}

#[test]
fn evidence_is_kept_by_content_when_the_worktree_changes_later() {
    let world =
        World::with("tasks: { a: { run: 'echo kept > out.txt', evidence: [ { artifact: out.txt } ] } }");
    world.up().exits(0);
    let state = world.state();
    let sha256 = state.tasks[0].evidence[0].facts.get("sha256").unwrap().as_str().unwrap().to_owned();
    std::fs::write(world.tree("a.1").join("out.txt"), "tampered\n").unwrap();
    let blob = world.home().blobs().join(&sha256[..2]).join(&sha256[2..]);
    assert_eq!(std::fs::read_to_string(blob).unwrap(), "kept\n");
}
