//! `report` and `heartbeat`, run as a worker would, in an environment that is made up.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ilchul::protocol::{Note, Report, ReportStatus, parse};
use serde_json::json;

use crate::world::World;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// A worker with an assignment, whose tree is the repository.
fn worker() -> World {
    let mut world = World::repository();
    fs::create_dir(world.path("mail")).unwrap();
    let assignment =
        json!({"schema": "ilchul.worker/1", "run": "r", "task": "fix", "attempt": 2, "token": 7});
    world.write("mail/assignment.json", &assignment.to_string());
    for (name, value) in [("MAIL", "mail"), ("TREE", "repo")] {
        world.set(&format!("ILCHUL_{name}"), world.path(value));
    }
    world.set("ILCHUL_TASK", "fix");
    world.set("ILCHUL_ATTEMPT", "2");
    world
}

/// Something that no mode of a folder keeps out of it: root.
fn is_root() -> bool {
    nix::unistd::getuid().is_root()
}

/// Takes away the right to write into mail, for root as well: `.tmp` is a file.
fn close_mail(world: &World) {
    let _ = fs::remove_dir(world.path("mail/.tmp"));
    world.write("mail/.tmp", "");
    if !is_root() {
        fs::set_permissions(world.path("mail"), fs::Permissions::from_mode(0o500)).unwrap();
    }
}

#[test]
fn a_report_is_composed_checked_and_written_whole() {
    let world = worker();
    world.write("repo/out.txt", "abc");
    let head = world.git(&["rev-parse", "HEAD"]);
    let args = [
        "report",
        "--status",
        "done",
        "--summary",
        "Made it.",
        "--reason",
        "asked",
        "--evidence",
        "artifact=out.txt",
        "--evidence",
        "commit=HEAD",
        "--evidence",
        "command=make check",
        "--output",
        "label=left",
        "--output",
        "x=a=b",
        "--usage-tokens",
        "12",
        "--usage-usd",
        "0.5",
    ];
    world.check(&args, 0, "Reported `done` for fix.2 in `<top>/mail/report.json`.\n", "");
    let report: Report = parse(world.read("mail/report.json").as_bytes()).unwrap();
    let expected = json!({"schema": "ilchul.report/1", "task": "fix", "attempt": 2, "token": 7, "status": "done",
        "summary": "Made it.", "reason": "asked",
        "evidence": [{"kind": "artifact", "path": "out.txt", "sha256": ABC}, {"kind": "diff", "commit": head},
            {"kind": "command", "command": "make check"}],
        "outputs": {"label": "left", "x": "a=b"}, "usage": {"tokens": 12, "usd": 0.5}});
    assert_eq!(serde_json::to_value(&report).unwrap(), expected);
    assert_eq!(fs::read_dir(world.path("mail/.tmp")).unwrap().count(), 0);
    let checked = world.run(&["report", "--check", "../mail/report.json"]);
    assert_eq!(
        (checked.code, checked.out.as_str()),
        (0, "`../mail/report.json`: a `done` report of fix.2, no problems.\n")
    );
}

#[test]
fn scripts_are_told_where_the_report_is_and_what_it_says() {
    let world = worker();
    let data = world.run(&["report", "--json", "--status", "failed", "--summary", "No."]).data();
    assert_eq!(data["file"], json!(world.path("mail/report.json")));
    assert_eq!(
        data["report"],
        json!({"schema": "ilchul.report/1", "task": "fix", "attempt": 2, "token": 7, "status": "failed",
            "summary": "No.", "reason": null, "evidence": [], "outputs": {}, "usage": null})
    );
}

#[test]
fn a_worker_that_may_not_write_mail_uses_the_drop_box() {
    let world = worker();
    close_mail(&world);
    let out = "Reported `done` for fix.2 in `<top>/repo/.ilchul/report.json`.\n";
    world.check(&["report", "--status", "done", "--summary", "x"], 0, out, "");
    let report: Report = parse(world.read("repo/.ilchul/report.json").as_bytes()).unwrap();
    assert_eq!((report.status, report.token), (ReportStatus::Done, 7));
    world.check(&["heartbeat", "--note", "x"], 0, "Left the note in `<top>/repo/.ilchul/note.json`.\n", "");
    fs::set_permissions(world.path("mail"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_worker_that_may_write_nowhere_is_told_so() {
    let world = worker();
    close_mail(&world);
    world.write("repo/.ilchul", "in the way");
    let said = world.run(&["report", "--json", "--status", "done", "--summary", "x"]);
    fs::set_permissions(world.path("mail"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((said.code, &said.error()["code"]), (1, &json!("unwritable")));
}

#[test]
fn l3_the_first_settling_report_stays_and_a_question_gives_way() {
    let world = worker();
    let report = |status: &str| world.run(&["report", "--json", "--status", status, "--summary", status]);
    assert_eq!(report("needs_input").code, 0);
    assert_eq!(report("done").code, 0);
    let before = world.read("mail/report.json");
    let refused = report("failed");
    assert_eq!((refused.code, &refused.error()["code"]), (1, &json!("reported")));
    assert_eq!(world.read("mail/report.json"), before);
}

#[test]
fn outside_of_a_worker_nothing_is_written() {
    let world = World::repository();
    let before = world.listing();
    let err = "\
error: failed to find the worker's mail: `ILCHUL_MAIL` isn't set.
hint: This command is for what a worker runs. To check a report, run `ilchul report --check FILE`.
";
    world.check(&["report", "--status", "done", "--summary", "x"], 1, "", err);
    world.check(&["heartbeat", "--note", "x"], 1, "", err);
    assert_eq!(world.listing(), before);
}

#[test]
fn without_an_assignment_or_with_anothers_there_is_no_report() {
    let mut world = worker();
    world.set("ILCHUL_ATTEMPT", "3");
    let err = "\
error: failed to read the assignment `<top>/mail/assignment.json`: it is for fix.2, and this is fix.3.
hint: Run this from the worker that `ILCHUL_MAIL` belongs to.
";
    world.check(&["report", "--status", "done", "--summary", "x"], 1, "", err);
    fs::remove_file(world.path("mail/assignment.json")).unwrap();
    let err = "\
error: failed to read the assignment `<top>/mail/assignment.json`: there is none.
hint: A worker can report once it has been given its task.
";
    world.check(&["report", "--status", "done", "--summary", "x"], 1, "", err);
    assert!(!world.path("mail/report.json").exists());
}

#[test]
fn evidence_that_cannot_be_hashed_or_named_stops_the_report() {
    let world = worker();
    world.write("outside", "x");
    for (evidence, why) in [
        ("artifact=none", "hash `none`: No such file or directory (os error 2)"),
        ("artifact=../outside", "hash `../outside`: it lies outside of the tree"),
        ("commit=nowhere", "read commit: `nowhere` names no commit"),
    ] {
        let args = ["report", "--json", "--status", "done", "--summary", "x", "--evidence", evidence];
        let said = world.run(&args);
        let message = said.error()["message"].as_str().unwrap().to_owned();
        assert_eq!(said.code, 1, "{evidence}");
        assert!(message.starts_with(why), "{message}");
    }
    let twice = ["report", "--status", "done", "--summary", "x", "--output", "a=1", "--output", "a=2"];
    assert_eq!(world.run(&twice).code, 1);
    assert!(!world.path("mail/report.json").exists());
}

#[test]
fn wrong_arguments_are_usage() {
    let world = worker();
    for args in [
        &["report"][..],
        &["report", "--status", "success", "--summary", "x"],
        &["report", "--status", "done"],
        &["report", "--status", "done", "--summary", "x", "--evidence", "exit=0"],
        &["report", "--status", "done", "--summary", "x", "--output", "a"],
        &["report", "--check", "x", "--status", "done"],
        &["heartbeat"],
    ] {
        assert_eq!(world.run(args).code, 2, "{args:?}");
    }
}

#[test]
fn a_usage_that_no_report_can_hold_is_refused_by_the_reports_own_check() {
    let world = worker();
    let said = world.run(&["report", "--json", "--status", "done", "--summary", "x", "--usage-usd=-1"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.error()["details"][0]["path"], "usage.usd");
    assert!(!world.path("mail/report.json").exists());
}

#[test]
fn all_that_is_wrong_with_a_report_is_said() {
    let world = World::new();
    world.write(
        "repo/r.json",
        r#"{"schema":"ilchul.report/1","task":"a","attempt":0,"token":1,"status":"ok","summary":"x"}"#,
    );
    let err = "\
r.json: attempt: found 0, expected a whole number from 1 to 4294967295
r.json: status: `ok` isn't one of done, failed, blocked, partial, needs_input, no_change; did you mean `done`?
error: failed to use the report `r.json`: 2 problems.
hint: Run `ilchul schema report` for what may stand in one.
";
    world.check(&["report", "--check", "r.json"], 1, "", err);
    let error = world.run(&["report", "--json", "--check", "r.json"]).error();
    assert_eq!(error["code"], "invalid_report");
    assert_eq!(
        error["details"][0],
        json!({"code": "bad_value", "path": "attempt",
        "message": "found 0, expected a whole number from 1 to 4294967295"})
    );
}

#[test]
fn every_invalid_report_fixture_is_refused_with_as_many_problems_as_expected() {
    let world = World::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports/invalid");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let said = world.run(&["report", "--json", "--check", path.to_str().unwrap()]);
        let expected = fs::read_to_string(path.with_extension("expect")).unwrap();
        assert_eq!(said.code, 1, "{}", path.display());
        let details = said.error()["details"].as_array().unwrap().len();
        assert_eq!(details, expected.lines().count(), "{}", path.display());
        count += 1;
    }
    assert!(count > 20, "{count}");
    assert_eq!(world.run(&["report", "--check", "none.json"]).code, 1);
}

#[test]
fn a_note_is_one_line_that_the_shim_reads() {
    let world = worker();
    world.check(&["heartbeat", "--note", " half\nway "], 0, "Left the note in `<top>/mail/note.json`.\n", "");
    let note: Note = parse(world.read("mail/note.json").as_bytes()).unwrap();
    assert_eq!(note.note, "half way");
    let data = world.run(&["heartbeat", "--json", "--note", "b"]).data();
    assert_eq!(data, json!({"file": world.path("mail/note.json"), "note": "b"}));
    assert_eq!(world.run(&["heartbeat", "--note", " "]).code, 1);
}
