//! Forged and damaged records: each is named for what it is, and an honest one holds.

use std::path::Path;
use std::process::Command;

use super::*;
use crate::engine::event::{Place, Snapshot};
use crate::engine::moment::Stamp;
use crate::engine::named::Named;

const RUN: &str = "r1";

/// A repository with a base and a head, and a home beside it.
struct Stage {
    dir: tempfile::TempDir,
    repository: GitWorktree,
    home: Home,
    base: String,
    head: String,
}

fn git(repo: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "core.fsync=none"])
        .args(args)
        .current_dir(repo)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repo = dir.path().join("repo");
        std::fs::create_dir(&repo).unwrap();
        git(&repo, &["init", "-q", "-b", "main"]);
        let commit = |text: &str| {
            std::fs::write(repo.join("file"), text).unwrap();
            git(&repo, &["add", "-A"]);
            git(&repo, &["commit", "-q", "-m", "m"]);
            git(&repo, &["rev-parse", "HEAD"])
        };
        let (base, head) = (commit("one\n"), commit("one\ntwo\n"));
        let repository = GitWorktree::open(&repo, dir.path().join("quarantine")).unwrap();
        let home = Home::at(dir.path().join("home"));
        Self { repository, home, base, head, dir }
    }

    /// Attempt 1 of `a` in a worktree, with this one item.
    fn bundle(&self, checked: Checked) -> Bundle {
        let place = Place { kind: "git".into(), id: "x".into(), fields: Named::default() };
        Bundle {
            task: "a".into(),
            attempt: 1,
            exit: Some(ChildExit::Code(0)),
            workspace: Some(place),
            snapshot: Some(Snapshot {
                commit: self.head.clone(),
                tip: self.head.clone(),
                uncommitted: vec![],
                changed: vec![],
            }),
            items: [(0, (Stamp::default(), checked))].into(),
            ..Bundle::default()
        }
    }

    fn seen(&self, bundle: &Bundle) -> (&'static str, String) {
        let look = Look { home: &self.home, repository: &self.repository, run: RUN };
        let found = recheck(look, bundle).remove(0);
        (found.again.word(), found.reason)
    }

    #[track_caller]
    fn is(&self, checked: Checked, again: &str, reason: &str) {
        self.says(&self.bundle(checked), again, reason);
    }

    #[track_caller]
    fn says(&self, bundle: &Bundle, again: &str, reason: &str) {
        let (word, said) = self.seen(bundle);
        assert!(word == again && said.contains(reason), "{word}: {said}");
    }

    /// Keeps these bytes; their hash.
    fn keep(&self, bytes: &str) -> String {
        blobs::keep(&self.home, &mut bytes.as_bytes(), 1000).unwrap().sha256
    }

    /// What a verified diff between base and head records.
    fn diff(&self) -> Checked {
        let stat = self.repository.diff(&self.base, &self.head).unwrap();
        let checked = verified("diff").fact("base", self.base.clone()).fact("head", self.head.clone());
        facts_of(&stat).into_iter().fold(checked, |checked, (name, value)| checked.fact(name, value))
    }

    /// What a verified command that printed this records.
    fn command(&self, output: &str) -> Checked {
        verified("command")
            .fact("exit", 0)
            .fact("match", "ok [1-9]")
            .fact("cwd", format!("/moved/{}", self.tree().file_name().unwrap().to_str().unwrap()))
            .fact("commit", self.head.clone())
            .fact("log_sha256", self.keep(output))
            .fact("log_bytes", output.len())
    }

    fn artifact(&self, bytes: &str) -> Checked {
        verified("artifact").fact("path", "out").fact("sha256", self.keep(bytes)).fact("bytes", bytes.len())
    }

    fn tree(&self) -> PathBuf {
        self.home.tree(RUN, "a.1")
    }
}

fn verified(kind: &str) -> Checked {
    Checked::new(kind, Verdict::Verified, "seen")
}

#[test]
fn e6_an_exit_is_judged_again_from_the_journaled_one() {
    let stage = Stage::new();
    let item = judge_exit(0, ChildExit::Code(0));
    stage.is(item.clone(), "same", "exit code 0");
    let mut bundle = stage.bundle(item);
    bundle.exit = Some(ChildExit::Code(3));
    stage.says(&bundle, "differs", "refuted: expected exit code 0, found exit code 3");
    bundle.exit = None;
    stage.says(&bundle, "differs", "unverifiable");
    stage.is(verified("exit"), "differs", "doesn't say which");
}

#[test]
fn e6_a_diff_is_counted_again_between_the_recorded_commits() {
    let stage = Stage::new();
    stage.is(stage.diff(), "same", "1 file, +1 -0");
    stage.is(stage.diff().fact("added", 7), "differs", "`added` was 7, it is 1");
    stage.is(stage.diff().fact("patch_id", "0".repeat(40)), "differs", "`patch_id` was");
    stage.is(stage.diff().fact("paths", vec!["other"]), "differs", "`paths` was");
    // One of an ilchul that didn't record patch ids yet.
    let older = ["files", "added", "base", "head"].into_iter().fold(verified("diff"), |older, name| {
        older.fact(name, stage.diff().facts.get(name).unwrap().clone())
    });
    stage.is(older, "same", "counted again");
    stage.is(verified("diff"), "same", "no commits were compared");
}

#[test]
fn e3_a_verified_diff_whose_head_does_not_descend_from_its_base_differs() {
    let stage = Stage::new();
    let mut bundle =
        stage.bundle(stage.diff().fact("base", stage.head.clone()).fact("head", stage.base.clone()));
    bundle.snapshot.as_mut().unwrap().commit.clone_from(&stage.base);
    stage.says(&bundle, "differs", "doesn't descend from");
}

#[test]
fn e5_the_record_of_another_attempt_is_not_this_ones() {
    let stage = Stage::new();
    let mut other = stage.bundle(stage.diff());
    other.snapshot.as_mut().unwrap().commit = "1".repeat(40);
    stage.says(&other, "differs", "the commit of this attempt is 1111");
    other.snapshot = None;
    stage.says(&other, "differs", "the commit of this attempt is none");
    let elsewhere = stage.command("ok 3").fact("cwd", stage.home.tree(RUN, "a.2").display().to_string());
    stage.is(elsewhere, "differs", "isn't this attempt's tree");
    let at_another = stage.command("ok 3").fact("commit", stage.base.clone());
    stage.is(at_another, "differs", "this attempt's tree stood at");
}

#[test]
fn e6_a_commit_or_an_object_of_it_that_is_gone_is_named() {
    let stage = Stage::new();
    let object = |id: &str| stage.dir.path().join("repo/.git/objects").join(&id[..2]).join(&id[2..]);
    let (checked, repo) = (stage.diff(), stage.dir.path().join("repo"));
    let blob = git(&repo, &["rev-parse", "HEAD:file"]);
    let kept = std::fs::read(object(&blob)).unwrap();
    std::fs::remove_file(object(&blob)).unwrap();
    stage.is(checked.clone(), "gone", "isn't stored here");
    std::fs::write(object(&blob), kept).unwrap();
    stage.is(checked.clone(), "same", "");
    std::fs::remove_file(object(&stage.head)).unwrap();
    stage.is(checked, "gone", &format!("the commit {} isn't stored any more", stage.head));
}

#[test]
fn e6_replace_references_and_grafts_change_nothing() {
    let stage = Stage::new();
    let (checked, repo) = (stage.diff(), stage.dir.path().join("repo"));
    git(&repo, &["replace", &stage.head, &stage.base]);
    std::fs::create_dir_all(repo.join(".git/info")).unwrap();
    std::fs::write(repo.join(".git/info/grafts"), format!("{}\n", stage.head)).unwrap();
    stage.is(checked, "same", "+1 -0");
}

#[test]
fn e6_a_commands_kept_output_is_judged_again_and_the_command_is_not_run() {
    let stage = Stage::new();
    stage.is(stage.command("ok 3"), "same", "it isn't run again");
    stage.is(stage.command("ok 0"), "differs", "its kept output doesn't match");
    stage.is(stage.command("ok 3").fact("exit", 1), "differs", "its exit is 1");
    stage.is(stage.command("ok 3").fact("log_bytes", 9), "differs", "it has 4 bytes, 9 were recorded");
    stage.is(verified("command").fact("exit", 0), "gone", "its output wasn't kept");
    stage.is(Checked::new("command", Verdict::Unverifiable, "no"), "same", "it wasn't run");
    let trap = stage.dir.path().join("trap");
    stage.is(stage.command("ok 3").fact("command", format!("touch {}", trap.display())), "same", "");
    assert!(!trap.exists());
}

#[test]
fn e6_a_flipped_byte_and_a_removed_blob_are_named() {
    let stage = Stage::new();
    let both = [stage.artifact("evidence"), stage.command("ok 1 evidence")];
    for checked in both {
        let sha256 = text(&checked, "sha256").or_else(|| text(&checked, "log_sha256")).unwrap().to_owned();
        stage.is(checked.clone(), "same", "bytes");
        let path = blobs::path(&stage.home, &sha256);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[3] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        stage.is(checked.clone(), "differs", &format!("the blob {sha256}: its SHA-256 is "));
        std::fs::remove_file(&path).unwrap();
        stage.is(checked, "gone", &format!("the blob {sha256}: it isn't there any more"));
    }
    stage.is(stage.artifact("evidence").fact("bytes", 3), "differs", "it has 8 bytes, 3 were recorded");
    stage.is(stage.artifact("evidence").fact("sha256", "../../etc"), "differs", "no SHA-256");
}

#[test]
fn l9_a_blob_that_cannot_be_read_is_unknown_and_not_gone() {
    let stage = Stage::new();
    let bundle = stage.bundle(stage.artifact("evidence"));
    // A name that no system opens: the look fails, whatever is there.
    let home = Home::at(stage.dir.path().join("x".repeat(300)));
    let look = Look { home: &home, repository: &stage.repository, run: RUN };
    let found = recheck(look, &bundle).remove(0);
    assert_eq!(found.again, Again::Unknown, "{}", found.reason);
    assert!(found.reason.contains("it can't be read"), "{}", found.reason);
}

#[test]
fn what_became_of_the_trees_own_file_is_said_and_never_counts() {
    let stage = Stage::new();
    let (checked, out) = (stage.artifact("evidence"), stage.tree().join("out"));
    stage.is(checked.clone(), "same", "the tree's file is gone");
    std::fs::create_dir_all(stage.tree()).unwrap();
    stage.is(checked.clone(), "same", "the tree's file is gone");
    for (bytes, said) in
        [("evidence", "is the same"), ("Evidence", "was changed since"), ("e", "was changed since")]
    {
        std::fs::write(&out, bytes).unwrap();
        stage.is(checked.clone(), "same", said);
    }
    std::fs::remove_file(&out).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &out).unwrap();
    stage.is(checked.clone(), "same", "a link stands in the tree's file's place");
    std::fs::remove_file(&out).unwrap();
    nix::unistd::mkfifo(&out, nix::sys::stat::Mode::S_IRWXU).unwrap();
    stage.is(checked, "same", "was changed since");
}

#[test]
fn e6_a_review_is_about_the_commit_of_its_attempt_and_says_pass() {
    let stage = Stage::new();
    let about = |commit: &str, answer: &str| {
        verified("review").fact("commit", commit).fact("worker", "r.1").fact("answer", answer)
    };
    stage.is(about(&stage.head, "pass"), "same", "`r.1` looked at the commit of this attempt");
    stage.is(about(&"0".repeat(40), "pass"), "differs", "it is about 0000");
    stage.is(about(&stage.head, "fail"), "differs", "it is called verified, and the answer is fail");
    stage.is(verified("review"), "differs", "it doesn't say what was looked at");
    stage.is(Checked::new("review", Verdict::Refuted, "no"), "same", "stands in the journal");
}

#[test]
fn whatever_kind_keeps_bytes_has_them_looked_at_and_the_rest_is_the_journals_word() {
    let stage = Stage::new();
    let log = verified("log").fact("sha256", stage.keep("a log")).fact("bytes", 5).fact("pattern", "l.g");
    stage.is(log.clone(), "same", "its 5 bytes are kept");
    stage.is(log.clone().fact("pattern", "lag"), "differs", "its kept output doesn't match `lag`");
    stage.is(log.clone().fact("pattern", "("), "unknown", "the pattern can't be used");
    std::fs::remove_file(blobs::path(&stage.home, text(&log, "sha256").unwrap())).unwrap();
    stage.is(log, "gone", "any more");
    stage.is(verified("other").fact("sha256", stage.keep("more")), "same", "its 4 bytes are kept");
    stage.is(verified("approval"), "same", "stands in the journal");
    stage.is(
        Checked::new("artifact", Verdict::Refuted, "missing").fact("path", "x"),
        "same",
        "nothing to keep",
    );
}

#[test]
fn d6_e6_a_reduction_is_looked_at_again_by_what_it_read_and_what_both_runs_printed() {
    let stage = Stage::new();
    let reduced = |first: &str, again: &str| {
        verified("reduce")
            .fact("inputs_sha256", stage.keep("{}"))
            .fact("inputs_bytes", 2)
            .fact("output_sha256", stage.keep(first))
            .fact("output_bytes", first.len())
            .fact("again_sha256", stage.keep(again))
            .fact("again_bytes", again.len())
    };
    stage.is(
        reduced("[7]\n", "[7]\n"),
        "same",
        "its inputs and 4 bytes of output are kept; it isn't run again",
    );
    stage.is(reduced("[7]\n", "[7]\n").fact("result", serde_json::json!([7])), "same", "are kept");
    stage.is(reduced("7\n", "7\n").fact("result", 8), "differs", "what was handed on isn't what was printed");
    stage.is(reduced("7\n", "8\n"), "differs", "its two outputs differ");
    let refuted = Checked { verdict: Verdict::Refuted, ..reduced("7\n", "8\n") };
    stage.is(refuted, "same", "2 bytes of output are kept");
    let unrun = Checked::new("reduce", Verdict::Refuted, "the first run failed")
        .fact("inputs_sha256", stage.keep("{}"));
    stage.is(unrun.fact("inputs_bytes", 2), "same", "it wasn't run again");
    stage.is(
        verified("reduce").fact("inputs_sha256", stage.keep("{}")).fact("inputs_bytes", 2),
        "gone",
        "wasn't kept",
    );
    let gone = reduced("7\n", "7\n").fact("again_sha256", "0".repeat(64));
    stage.is(gone, "gone", "isn't there any more");
}
