//! The files of a worker's tree, put there by its node: while it lasts, when it fails, when
//! somebody dies meanwhile.
//!
//! It leaves out the shim's own part by itself; see `tests/shim`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use ilchul_git_worktree::{Filled, GitWorktree};

use crate::common::{Site, cluster, ended, until};
use crate::world::wait_until;

/// The settings of a cluster on whose nodes `$W/bin` comes first.
const OWN_GIT: &str = "500ms, setup: ['export PATH=$W/bin:$PATH']";
/// One task that shows which attempt it is and that its tree is whole.
const ONE: &str = "tasks: { a: { retries: 1, run: 'echo $ILCHUL_ATTEMPT >> $W/ledger; cat src/lib.txt > copy.txt', evidence: [ { artifact: copy.txt }, { diff: { paths: [copy.txt] } } ] } }";

/// A site whose nodes' git first does `script`, in which `$REAL` is git.
fn with_git(tasks: &str, script: &str) -> Site {
    let site = Site::with_poll(OWN_GIT, tasks);
    let folder = site.world.root().join("bin");
    fs::create_dir(&folder).unwrap();
    let real = std::env::split_paths(&site.world.path).map(|dir| dir.join("git")).find(|path| path.exists());
    let script = script.replace("$W", site.world.root().to_str().unwrap());
    let script = script.replace("$REAL", real.unwrap().to_str().unwrap());
    fs::write(folder.join("git"), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(folder.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    site
}

/// How far the tree of a worker is filled.
fn filled(site: &Site, worker: &str) -> Filled {
    let repository = GitWorktree::open(&site.world.repo(), site.world.root().join("aside")).unwrap();
    let mark = format!("ilchul.{}.{worker}", site.world.run_id().unwrap()).parse().unwrap();
    let tree = repository.made(&mark).unwrap().expect("a tree that was made");
    repository.filled(&tree).unwrap()
}

fn log(site: &Site, worker: &str) -> String {
    let path = site.world.home().setup_log(&site.world.run_id().unwrap(), worker);
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_tree_is_filled_by_its_node_before_the_setup_and_the_work() {
    let site = with_git(
        &format!("setup: {{ run: ['ls src > $W/seen'] }}\n{ONE}"),
        "echo \"$SLURMD_NODENAME $*\" >> $W/git.log; exec $REAL \"$@\"",
    );
    site.run(&["approve", "--hooks", "--yes"]).exits(0);
    site.up().exits(0);
    let (node, _) = site.claim("a.1");
    let ran = fs::read_to_string(site.world.root().join("git.log")).unwrap();
    assert!(ran.starts_with(&format!("{node} -C / ")) && ran.lines().count() == 1, "{ran}");
    assert!(log(&site, "a.1").starts_with(&format!("$ git read-tree HEAD, on {node}\n$ ls src")), "{ran}");
    assert_eq!(fs::read_to_string(site.world.root().join("seen")).unwrap(), "lib.txt\n");
    assert_eq!(filled(&site, "a.1"), Filled::Whole);
    assert_eq!(fs::read_to_string(site.world.tree("a.1").join("copy.txt")).unwrap(), "one\n");
}

#[test]
fn what_is_copied_into_a_tree_finds_its_files_there() {
    let tasks = "setup: { include: [.env] }\ntasks: { a: { run: 'cat .env src/lib.txt >> $W/ledger' } }";
    let site = with_git(tasks, "exit 9");
    fs::write(site.world.repo().join(".env"), "SECRET\n").unwrap();
    site.run(&["approve", "--hooks", "--yes"]).exits(0);
    // Filled here, so the nodes' git isn't asked.
    site.up().exits(0);
    assert_eq!(site.world.ledger(), ["SECRET", "one"]);
}

#[test]
fn a_slow_checkout_is_not_taken_for_a_worker_that_is_late() {
    let site = with_git(&format!("limits: {{ ready: 2s }}\n{ONE}"), "sleep 8; exec $REAL \"$@\"");
    site.up().exits(0);
    assert_eq!(site.world.ledger(), ["1"]);
}

#[test]
fn a_node_whose_git_fails_fails_the_launch_with_its_words_and_keeps_the_tree() {
    let site = with_git(ONE, "echo fatal: no way >&2; exit 9");
    site.up().exits(3);
    let told = site.world.told("a");
    assert!(told.starts_with("failed (launch_checkout: git ended with exit code 9 on n"), "{told}");
    assert!(told.ends_with(": fatal: no way)"), "{told}");
    let why = site.run(&["why", "a"]).stdout;
    assert!(why.contains("launch failed at its checkout step"), "{why}");
    assert_eq!(site.world.state().tasks[0].attempt, 2, "as after any launch that failed");
    until("what watched the jobs to be over", || {
        let safe = site.run(&["workers", "--close"]).stdout.matches("no process lives").count() == 2;
        safe.then_some(())
    });
    // Nobody came as far as its first file: nothing would be lost with either.
    for worker in ["a.1", "a.2"] {
        assert_eq!(filled(&site, worker), Filled::Never);
        let released = site.run(&["release", worker]).exits(0);
        assert!(released.stdout.contains("never filled"), "{}", released.stdout);
    }
    // And what a person may type is accepted by git.
    let cleaned = site.run(&["cleanup", "--safe"]).exits(0).stdout;
    let commands: Vec<&str> = cleaned.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(commands.len(), 6, "{cleaned}");
    for command in commands {
        let output = site.world.sealed("sh").args(["-c", command]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_node_that_crashes_during_a_checkout_costs_an_attempt_and_the_next_has_a_tree_of_its_own() {
    let site =
        with_git(ONE, "test -e $W/first || { touch $W/first; $REAL \"$@\"; sleep 600; }; exec $REAL \"$@\"");
    let up = site.start_up();
    wait_until("the checkout", || site.world.root().join("first").exists());
    let (node, _) = site.claim("a.1");
    until("its files", || site.world.tree("a.1").join("src/lib.txt").exists().then_some(()));
    cluster(&["crash", &node]);
    ended(up).exits(0);
    assert_eq!(site.world.ledger(), ["2"]);
    assert_eq!((filled(&site, "a.1"), filled(&site, "a.2")), (Filled::Partly, Filled::Whole));
    // Every file of it may be there; nobody said so, and it isn't offered as safe.
    let refused = site.run(&["release", "a.1"]).exits(1);
    assert!(refused.stderr.contains("ended halfway"), "{}", refused.stderr);
}

#[test]
fn j6_a_supervisor_that_was_killed_during_a_checkout_adopts_the_worker() {
    let site = with_git(ONE, "touch $W/first; while ! test -e $W/go; do sleep 0.1; done; exec $REAL \"$@\"");
    let up = site.start_up();
    wait_until("the checkout", || site.world.root().join("first").exists());
    until("the launch in the journal", || {
        site.world.state().workers.get("a.1").is_some_and(|worker| worker.session.is_some()).then_some(())
    });
    up.kill();
    let up = site.start_up();
    site.world.await_resumes(1);
    site.world.touch("go");
    ended(up).exits(0);
    assert_eq!(site.world.ledger(), ["1"]);
}

#[test]
fn r4b_a_supervisor_killed_between_tree_and_job_leaves_one_that_was_never_filled() {
    let site = Site::with(ONE);
    let folder = site.world.root().join("submit");
    fs::create_dir(&folder).unwrap();
    // It dies in the very moment in which it would submit.
    fs::write(
        folder.join("sbatch"),
        "#!/bin/sh\ncase \"$*\" in *--parsable*) kill -KILL $PPID; exit 1;; esac\necho slurm 22.05.8\n",
    )
    .unwrap();
    fs::set_permissions(folder.join("sbatch"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut path = folder.into_os_string();
    path.push(":");
    path.push(&site.world.path);
    let output = site.ilchul(&["up", "--session", "slurm"]).env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), None, "it was killed");
    assert_eq!(filled(&site, "a.1"), Filled::Never);
    site.up().exits(0);
    assert_eq!(site.world.ledger(), ["2"]);
    assert_eq!((filled(&site, "a.1"), filled(&site, "a.2")), (Filled::Never, Filled::Whole));
    let shown = site.run(&["workers", "--close", "--json"]).stdout;
    assert!(shown.contains("never filled"), "{shown}");
}
