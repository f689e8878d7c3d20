//! The bundle: a record that anyone can look at again, and export.
//!
//! It leaves out each forged fact, which the recheck's own tests name one by one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use roxmltree::{Document, Node};
use serde_json::{Value, json};

use super::world::{Ran, World};

/// One task with an item of every kind that is looked at again.
const ALL_KINDS: &str = "\
    tasks:\n\
    \x20 a:\n\
    \x20   run: 'echo kept > out.txt; echo more > src/more.txt'\n\
    \x20   evidence:\n\
    \x20     - { exit: 0 }\n\
    \x20     - { artifact: out.txt }\n\
    \x20     - { command: 'echo ok 3', match: 'ok [1-9]' }\n\
    \x20     - diff: { paths: [out.txt, 'src/**'] }\n";

fn done(workflow: &str) -> World {
    let world = World::with(workflow);
    world.up().exits(0);
    world
}

fn data(ran: Ran, code: i32) -> Value {
    let ran = ran.exits(code);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["ok"], true);
    document["data"].clone()
}

/// What a recheck says of each item, as `kind: word`.
fn rechecked(world: &World, args: &[&str], code: i32) -> Vec<String> {
    let found = data(world.run(&[&["evidence", "a", "--recheck", "--json"], args].concat()), code);
    let item =
        |item: &Value| format!("{}: {}", item["kind"].as_str().unwrap(), item["recheck"].as_str().unwrap());
    found["items"].as_array().unwrap().iter().map(item).collect()
}

fn item(world: &World, kind: &str) -> Value {
    let found = data(world.run(&["evidence", "a", "--json"]), 0);
    found["items"].as_array().unwrap().iter().find(|item| item["kind"] == kind).unwrap().clone()
}

fn blob(world: &World, sha256: &Value) -> PathBuf {
    let sha256 = sha256.as_str().unwrap();
    world.home().blobs().join(&sha256[..2]).join(&sha256[2..])
}

/// Everything below a folder, with what each file holds and when it was changed.
fn state_of(folder: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                open.push(path);
            } else if metadata.is_file() {
                found.push((path.clone(), fs::read(&path).unwrap(), metadata.modified().unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_record_of_an_attempt_says_what_ran_where_and_at_which_commit() {
    let world = done(ALL_KINDS);
    let found = data(world.run(&["evidence", "a", "--json"]), 0);
    let head = found["snapshot"]["commit"].clone();
    assert_eq!((&found["worker"], &found["exit"]), (&json!("a.1"), &json!({"code": 0, "signal": null})));
    assert_eq!(found["start"], found["snapshot"]["tip"]);
    assert_eq!(found["snapshot"]["uncommitted"], json!(["out.txt", "src/more.txt"]));
    assert!(found["claimed_at"].is_string() && found["ended_at"].is_string() && found["token"].is_u64());
    let command = item(&world, "command");
    assert_eq!(command["cwd"], world.tree("a.1").to_str().unwrap());
    assert_eq!((&command["commit"], &command["exit"]), (&found["start"], &json!(0)));
    assert_eq!((&command["log_bytes"], &command["truncated"]), (&json!(5), &json!(false)));
    assert!(command["duration_ms"].is_u64() && command["tree"].is_string());
    assert_eq!(fs::read_to_string(blob(&world, &command["log_sha256"])).unwrap(), "ok 3\n");
    let diff = item(&world, "diff");
    assert_eq!((&diff["base"], &diff["head"]), (&found["start"], &head));
    let script =
        format!("git diff {} {} | git patch-id --stable", diff["base"], diff["head"]).replace('"', "");
    let said = world.sealed("sh").args(["-c", &script]).output().unwrap().stdout;
    assert_eq!(diff["patch_id"].as_str(), String::from_utf8(said).unwrap().split_whitespace().next());
    let change = json!({"files": 2, "added": 2, "removed": 0, "patch_id": diff["patch_id"]});
    assert_eq!(found["change"], change);
    assert_eq!(found["report"]["status"], "done");
    assert_eq!(found["decisions"], json!([]));
}

#[test]
fn e6_an_honest_record_holds_without_supervisor_and_tree_and_nothing_is_touched_or_run() {
    let world = done(&ALL_KINDS.replace("'echo ok 3'", "'echo ran >> $W/ledger; echo ok 3'"));
    let before = (state_of(&world.tree("a.1")), state_of(&world.home().blobs()));
    let all = ["exit: same", "artifact: same", "command: same", "diff: same"];
    assert_eq!(rechecked(&world, &[], 0), all);
    assert_eq!((state_of(&world.tree("a.1")), state_of(&world.home().blobs())), before);
    assert_eq!(world.ledger(), ["ran"], "a recheck runs nothing");
    let text = world.run(&["evidence", "a", "--recheck"]).exits(0).stdout;
    assert!(
        text.contains("same  command (verified): its 5 bytes of output are kept; it isn't run again"),
        "{text}"
    );
    // The tree may be gone: the record stands without it.
    fs::rename(world.tree("a.1"), world.root().join("elsewhere")).unwrap();
    assert_eq!(rechecked(&world, &[], 0), all);
}

#[test]
fn e6_one_flipped_byte_in_a_blob_and_a_removed_one_are_named() {
    let world = done(ALL_KINDS);
    let (artifact, command) = (item(&world, "artifact"), item(&world, "command"));
    let kept = blob(&world, &artifact["sha256"]);
    fs::write(&kept, "keqt\n").unwrap();
    fs::remove_file(blob(&world, &command["log_sha256"])).unwrap();
    assert_eq!(rechecked(&world, &[], 1), ["exit: same", "artifact: differs", "command: gone", "diff: same"]);
    let text = world.run(&["evidence", "a", "--recheck"]).exits(1).stdout;
    let hash = artifact["sha256"].as_str().unwrap();
    assert!(
        text.contains(&format!("differs  artifact (verified): the blob {hash}: its SHA-256 is ")),
        "{text}"
    );
    fs::write(&kept, "kept\n").unwrap();
    assert_eq!(rechecked(&world, &[], 1), ["exit: same", "artifact: same", "command: gone", "diff: same"]);
}

/// Copies a folder with all that is in it, as of a day ago.
fn copied_yesterday(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_hours(24);
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let copy = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copied_yesterday(&entry.path(), &copy);
        } else if kind.is_file() {
            fs::copy(entry.path(), &copy).unwrap();
            fs::File::options().append(true).open(&copy).unwrap().set_modified(yesterday).unwrap();
        }
    }
}

/// Flips one bit in the middle of a file.
fn flip(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn e6_a_home_of_yesterday_that_lies_elsewhere_is_rechecked_and_each_flipped_byte_is_named() {
    let world = done(ALL_KINDS);
    let (artifact, head) = (item(&world, "artifact"), item(&world, "diff")["head"].clone());
    let copy = world.root().join("yesterday");
    copied_yesterday(world.home().root(), &copy);
    fs::rename(world.home().root(), world.root().join("aside")).unwrap();
    let of_copy = ["--home", copy.to_str().unwrap()];
    assert_eq!(
        rechecked(&world, &of_copy, 0),
        ["exit: same", "artifact: same", "command: same", "diff: same"]
    );
    let text = || world.run(&[&["evidence", "a", "--recheck"][..], &of_copy].concat()).exits(1).stdout;
    // A blob.
    let sha256 = artifact["sha256"].as_str().unwrap();
    let kept = copy.join("blobs/sha256").join(&sha256[..2]).join(&sha256[2..]);
    flip(&kept);
    assert!(text().contains(&format!("differs  artifact (verified): the blob {sha256}: ")), "{}", text());
    flip(&kept);
    // The object of the snapshot.
    let head = head.as_str().unwrap();
    let object = world.repo().join(".git/objects").join(&head[..2]).join(&head[2..]);
    flip(&object);
    let said = text();
    let line = said.lines().find(|line| line.contains("diff (verified)")).unwrap();
    assert!(line.contains(head) && !line.contains("same  "), "{said}");
    flip(&object);
    assert_eq!(rechecked(&world, &of_copy, 0).len(), 4);
    // A row of the journal.
    let journal = copy.join("journal.db");
    let bytes = fs::read(&journal).unwrap();
    let word = b"it ended with exit code 0 and its output matches";
    let at = bytes.windows(word.len()).position(|window| window == word).unwrap();
    let mut edited = bytes;
    edited[at] ^= 1;
    fs::write(&journal, edited).unwrap();
    let ran = world.run(&[&["evidence", "a", "--recheck"][..], &of_copy].concat()).exits(6);
    assert!(ran.stderr.contains("row "), "the row is named: {}", ran.stderr);
}

#[test]
fn e6_a_head_commit_that_is_gone_is_named() {
    let world = done(ALL_KINDS);
    let head = item(&world, "diff")["head"].as_str().unwrap().to_owned();
    fs::remove_file(world.repo().join(".git/objects").join(&head[..2]).join(&head[2..])).unwrap();
    assert_eq!(rechecked(&world, &[], 1), ["exit: same", "artifact: same", "command: same", "diff: gone"]);
    let text = world.run(&["evidence", "a", "--recheck"]).stdout;
    assert!(text.contains(&format!("the commit {head} isn't stored any more")), "{text}");
}

#[test]
fn e6_an_artifact_that_was_changed_in_the_tree_since_is_said_and_the_kept_one_counts() {
    let world = done(ALL_KINDS);
    fs::write(world.tree("a.1").join("out.txt"), "later\n").unwrap();
    assert_eq!(rechecked(&world, &[], 0)[1], "artifact: same");
    let text = world.run(&["evidence", "a", "--recheck"]).exits(0).stdout;
    assert!(text.contains("its 5 bytes are kept; the tree's file was changed since"), "{text}");
}

#[test]
fn e5_each_attempt_is_rechecked_by_its_own_record() {
    let world = done(
        "tasks:\n  a:\n    run: 'echo $ILCHUL_ATTEMPT >> n; test $ILCHUL_ATTEMPT = 1 || echo x > out.txt'\n    \
         retries: 1\n    evidence: [ { artifact: out.txt }, { diff: { paths: ['*'] } } ]\n",
    );
    let attempt = |n: &'static str| ["--attempt", n];
    assert_eq!(rechecked(&world, &attempt("1"), 0), ["artifact: same", "diff: same"]);
    assert_eq!(rechecked(&world, &attempt("2"), 0), ["artifact: same", "diff: same"]);
    let first = data(world.run(&["evidence", "a", "--attempt", "1", "--json"]), 0);
    let head = first["snapshot"]["commit"].as_str().unwrap().to_owned();
    assert_eq!(
        (&first["items"][0]["verdict"], &first["items"][1]["head"]),
        (&json!("refuted"), &json!(head))
    );
    let artifact = data(world.run(&["evidence", "a", "--json"]), 0)["items"][0].clone();
    fs::remove_file(blob(&world, &artifact["sha256"])).unwrap();
    assert_eq!(rechecked(&world, &attempt("1"), 0), ["artifact: same", "diff: same"]);
    assert_eq!(rechecked(&world, &[], 1), ["artifact: gone", "diff: same"]);
    world.run(&["evidence", "a", "--recheck", "--attempt", "3"]).exits(1);
}

#[test]
fn j11_one_flipped_byte_in_the_journal_is_named_and_nothing_is_rechecked() {
    let world = done(ALL_KINDS);
    let journal = world.home().journal();
    let mut bytes = fs::read(&journal).unwrap();
    let word = b"it ended with exit code 0 and its output matches";
    let at = bytes.windows(word.len()).position(|window| window == word).unwrap();
    bytes[at] = b'I';
    fs::write(&journal, bytes).unwrap();
    let ran = world.run(&["evidence", "a", "--recheck"]).exits(6);
    assert!(ran.stderr.contains("journal") && ran.stdout.is_empty(), "{}", ran.stderr);
    world.run(&["evidence", "--export", "out"]).exits(6);
    assert!(!world.repo().join("out").exists());
}

#[test]
fn e2_a_command_that_ran_at_another_commit_than_the_judged_one_proves_nothing() {
    let commit = "git -c user.name=w -c user.email=w@localhost commit -q --allow-empty -m moved";
    let world = World::with(&format!(
        "tasks: {{ a: {{ run: 'true', evidence: [ {{ command: '{commit}' }}, {{ command: 'true' }} ] }} }}"
    ));
    world.up().exits(3);
    let found = data(world.run(&["evidence", "a", "--json"]), 0);
    let second = &found["items"][1];
    assert_eq!(second["verdict"], "unverifiable");
    let judged = found["snapshot"]["tip"].as_str().unwrap();
    assert!(
        second["reason"].as_str().unwrap().ends_with(&format!("the judged head is {judged}")),
        "{second}"
    );
}

const MIXED: &str = "\
    tasks:\n\
    \x20 good: { run: 'echo x > out.txt', evidence: [ { exit: 0 }, { artifact: out.txt } ] }\n\
    \x20 bad: { run: 'true', evidence: [ { exit: 0 }, { artifact: none.txt } ] }\n\
    \x20 waived: { run: 'true', evidence: waived, reason: a spike }\n\
    \x20 never: { run: 'true', needs: [bad] }\n\
    \x20 plain: { run: 'true', workspace: none }\n";

fn exported(world: &World, args: &[&str]) -> (PathBuf, Value) {
    let folder = world.root().join("out");
    let args = [&["evidence", "--json", "--export", folder.to_str().unwrap()], args].concat();
    let found = data(world.run(&args), 0);
    (folder, found)
}

/// Holds a statement against what in-toto's Statement v1, ResourceDescriptor, DigestSet and
/// test-result v0.1 ask for.
#[track_caller]
fn is_valid_statement(found: &Value) {
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), ["_type", "predicate", "predicateType", "subject"]);
    assert_eq!(found["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(found["predicateType"], "https://in-toto.io/attestation/test-result/v0.1");
    let subjects = found["subject"].as_array().unwrap();
    assert!(!subjects.is_empty());
    let configuration = found["predicate"]["configuration"].as_array().unwrap();
    assert!(!configuration.is_empty());
    for descriptor in subjects.iter().chain(configuration) {
        let known = ["annotations", "content", "digest", "downloadLocation", "mediaType", "name", "uri"];
        assert!(keys(descriptor).iter().all(|key| known.contains(&key.as_str())), "{descriptor}");
        assert!(descriptor["name"].is_string());
        let digest = descriptor["digest"].as_object().unwrap();
        assert!(!digest.is_empty());
        for (algorithm, hex) in digest {
            let length = match algorithm.as_str() {
                "sha256" => 64,
                "gitCommit" => 40,
                other => panic!("{other} isn't used here"),
            };
            let hex = hex.as_str().unwrap();
            assert!(
                hex.len() == length && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
                "{hex}"
            );
        }
    }
    let predicate = &found["predicate"];
    assert_eq!(keys(predicate), ["configuration", "failedTests", "passedTests", "result", "warnedTests"]);
    assert!(["PASSED", "WARNED", "FAILED"].contains(&predicate["result"].as_str().unwrap()));
    for list in ["passedTests", "warnedTests", "failedTests"] {
        assert!(predicate[list].as_array().unwrap().iter().all(Value::is_string));
    }
}

/// Holds a document against the schema of Ant's JUnit files (`JUnit.xsd`).
#[track_caller]
fn is_valid_junit(document: &Document<'_>) {
    let elements = |node: Node<'_, '_>| {
        node.children().filter(Node::is_element).map(|c| c.tag_name().name().to_owned()).collect::<Vec<_>>()
    };
    let only = |node: Node<'_, '_>, known: &[&str], required: &[&str]| {
        assert!(node.attributes().all(|found| known.contains(&found.name())), "{node:?}");
        assert!(required.iter().all(|name| node.attribute(*name).is_some()), "{node:?}");
    };
    let decimal = |node: Node<'_, '_>, name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
    let root = document.root_element();
    assert_eq!((root.tag_name().name(), root.attributes().count()), ("testsuites", 0));
    assert!(elements(root).iter().all(|name| name == "testsuite"));
    for (id, suite) in root.children().filter(Node::is_element).enumerate() {
        let required =
            ["name", "timestamp", "hostname", "tests", "failures", "errors", "time", "package", "id"];
        only(suite, &[&required[..], &["skipped"]].concat(), &required);
        assert_eq!(suite.attribute("id"), Some(id.to_string().as_str()));
        let timestamp = suite.attribute("timestamp").unwrap();
        let shape: String = timestamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00");
        assert!(decimal(suite, "time") >= 0.0 && !suite.attribute("name").unwrap().is_empty());
        let parts = elements(suite);
        let cases = parts.len() - 3;
        assert_eq!(
            (parts[0].as_str(), &parts[cases + 1..]),
            ("properties", &["system-out".to_owned(), "system-err".into()][..])
        );
        assert!(parts[1..=cases].iter().all(|name| name == "testcase"));
        for property in suite.first_element_child().unwrap().children().filter(Node::is_element) {
            only(property, &["name", "value"], &["name", "value"]);
        }
        let outcomes =
            |which: &str| suite.descendants().filter(|node| node.has_tag_name(which)).count().to_string();
        assert_eq!(suite.attribute("tests"), Some(cases.to_string().as_str()));
        assert_eq!(suite.attribute("failures"), Some(outcomes("failure").as_str()));
        assert_eq!(suite.attribute("errors"), Some(outcomes("error").as_str()));
        assert_eq!(suite.attribute("skipped"), Some(outcomes("skipped").as_str()));
        for case in suite.children().filter(|node| node.has_tag_name("testcase")) {
            only(case, &["name", "classname", "time"], &["name", "classname", "time"]);
            assert!(decimal(case, "time") >= 0.0);
            let outcome: Vec<_> = case.children().filter(Node::is_element).collect();
            assert!(outcome.len() <= 1);
            for outcome in outcome {
                match outcome.tag_name().name() {
                    "failure" | "error" => only(outcome, &["message", "type"], &["type"]),
                    "skipped" => only(outcome, &["message"], &[]),
                    other => panic!("<{other}> in a case"),
                }
            }
        }
    }
}

#[test]
fn an_export_has_a_valid_statement_for_each_judged_task_and_one_valid_junit_file() {
    let world = World::with(MIXED);
    world.up().exits(3);
    let (folder, found) = exported(&world, &[]);
    assert_eq!(found["without_statement"], json!(["never", "plain"]));
    assert_eq!(found["files"].as_array().unwrap().len(), 4);
    let read = |task: &str| -> Value {
        let text = fs::read_to_string(folder.join(format!("{task}.intoto.json"))).unwrap();
        let found = serde_json::from_str(&text).unwrap();
        is_valid_statement(&found);
        found
    };
    let results = ["good", "bad", "waived"].map(|task| read(task)["predicate"]["result"].clone());
    assert_eq!(results, [json!("PASSED"), json!("FAILED"), json!("WARNED")]);
    let good = read("good");
    let evidence = data(world.run(&["evidence", "good", "--json"]), 0);
    assert_eq!(good["subject"][0]["digest"]["gitCommit"], evidence["snapshot"]["commit"]);
    assert_eq!(
        good["subject"][1],
        json!({"name": "out.txt", "digest": {"sha256": evidence["items"][1]["sha256"]}})
    );
    let reference = good["subject"][0]["name"].as_str().unwrap();
    assert_eq!(world.git(&["rev-parse", reference]).trim(), evidence["snapshot"]["commit"].as_str().unwrap());
    let sum = world.sealed("sha256sum").arg("ilchul.yaml").output().unwrap().stdout;
    let configured = good["predicate"]["configuration"][0]["digest"]["sha256"].as_str().unwrap();
    assert_eq!(String::from_utf8(sum).unwrap().split(' ').next(), Some(configured));
    assert_eq!(read("bad")["predicate"]["failedTests"], json!(["2 artifact none.txt"]));
    let text = fs::read_to_string(folder.join("junit.xml")).unwrap();
    let document = Document::parse(&text).unwrap();
    is_valid_junit(&document);
    let suites = document.root_element().children().filter(Node::is_element);
    let names: Vec<_> = suites.map(|suite| suite.attribute("name").unwrap().to_owned()).collect();
    assert_eq!(names, ["good", "bad", "waived", "never", "plain"]);
    let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    assert_eq!(failure.attribute("message"), Some("`none.txt` doesn't exist"));
    // Again, and of one task: what is ours is replaced.
    let (_, found) = exported(&world, &["good"]);
    assert_eq!(found["files"].as_array().unwrap().len(), 2);
    let text = fs::read_to_string(folder.join("junit.xml")).unwrap();
    is_valid_junit(&Document::parse(&text).unwrap());
    assert_eq!(text.matches("<testsuite ").count(), 1);
}

#[test]
fn s8_a_hostile_report_is_text_in_the_exports_and_no_markup() {
    let report = r#"{"schema":"ilchul.report/1","task":"a","attempt":1,"token":%s,"status":"failed","summary":"]]><evil/>\u001b[2J&\uffff","reason":"\"/><evil>"}"#;
    let script = format!(
        "token=$(sed -n 's/.*\"token\" *: *\\([0-9]*\\).*/\\1/p' \"$ILCHUL_MAIL/assignment.json\")\n\
         cat > fmt <<'EOF'\n{report}\nEOF\n\
         sed \"s/%s/$token/\" fmt > \"$ILCHUL_MAIL/.tmp/r\"\nmv \"$ILCHUL_MAIL/.tmp/r\" \"$ILCHUL_MAIL/report.json\""
    );
    let world =
        World::with(&format!("tasks:\n  a:\n    run: |\n      {}\n", script.replace('\n', "\n      ")));
    world.up().exits(3);
    let (folder, _) = exported(&world, &[]);
    let text = fs::read_to_string(folder.join("junit.xml")).unwrap();
    let document = Document::parse(&text).unwrap();
    is_valid_junit(&document);
    assert!(!document.descendants().any(|node| node.has_tag_name("evil")));
    let said = document.descendants().find(|node| node.has_tag_name("system-out")).unwrap().text().unwrap();
    assert!(said.contains("]]><evil/>\\u{1b}[2J") && said.contains("\"/><evil>"), "{said}");
    is_valid_statement(&serde_json::from_slice(&fs::read(folder.join("a.intoto.json")).unwrap()).unwrap());
}

#[test]
fn an_export_replaces_nothing_of_anybody_elses_and_follows_no_planted_link() {
    let world = done(ALL_KINDS);
    let folder = world.root().join("out");
    let target = world.root().join("precious");
    fs::write(&target, "mine\n").unwrap();
    fs::create_dir(&folder).unwrap();
    let export = || world.run(&["evidence", "--export", folder.to_str().unwrap()]);
    symlink(&target, folder.join("a.intoto.json")).unwrap();
    let ran = export().exits(1);
    assert!(ran.stderr.contains("a.intoto.json`: it is there, and isn't a regular file"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing was written");
    fs::remove_file(folder.join("a.intoto.json")).unwrap();
    fs::write(folder.join("junit.xml"), "<testsuites/>").unwrap();
    assert!(export().exits(1).stderr.contains("junit.xml`: it is there, and ilchul didn't write it"));
    assert!(!folder.join("a.intoto.json").exists());
    assert_eq!(fs::read_to_string(folder.join("junit.xml")).unwrap(), "<testsuites/>");
    fs::remove_file(folder.join("junit.xml")).unwrap();
    fs::remove_dir(&folder).unwrap();
    symlink(world.root().join("user"), &folder).unwrap();
    assert!(export().exits(1).stderr.contains("isn't a folder of its own"));
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine\n");
    fs::remove_file(&folder).unwrap();
    let ran = export().exits(0);
    assert_eq!(ran.stdout, format!("1 statement and `junit.xml` are in `{}`.\n", folder.display()));
}

#[test]
fn what_is_asked_of_evidence_must_fit_together() {
    let world = done(ALL_KINDS);
    world.run(&["evidence"]).exits(2);
    world.run(&["evidence", "--recheck"]).exits(2);
    world.run(&["evidence", "a", "--recheck", "--export", "x"]).exits(2);
    world.run(&["evidence", "a", "--attempt", "1", "--export", "x"]).exits(2);
    let ran = world.run(&["evidence", "b", "--export", "x"]).exits(1);
    assert!(ran.stderr.contains("find the task `b`"), "{}", ran.stderr);
    assert!(!world.repo().join("x").exists());
    let help = world.run(&["evidence", "--help"]).exits(0).stdout;
    assert!(help.contains("--recheck") && help.contains("--export <DIR>"), "{help}");
}
