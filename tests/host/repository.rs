//! What goes to the other machine, and what is refused there.

use std::fs;
use std::process::Command;

use crate::remote::Remote;
use crate::world::World;

const ONE: &str = "tasks: { a: { run: 'true' } }\n";

fn refuses(remote: &Remote, why: &str) {
    let ran = remote.run(&["up", "--session", "subprocess", "--new"]).exits(1);
    assert!(ran.stderr.contains(why), "{why}: {}", ran.stderr);
}

#[test]
fn commits_go_along_under_their_branch_and_a_run_starts_from_them() {
    let remote = Remote::with("tasks: { a: { run: 'test -e more' } }\n");
    remote.up().exits(3);
    assert_eq!(remote.git_there(&["branch", "--show-current"]), "main\n");
    remote.commit("more", "x");
    remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    assert_eq!(remote.git_there(&["rev-parse", "HEAD"]).trim(), remote.world.head());
    assert_eq!(remote.git_there(&["status", "--porcelain"]), "");
    // Another branch, and no branch at all.
    remote.world.git(&["checkout", "-q", "-b", "side", "HEAD~1"]);
    remote.run(&["up", "--session", "subprocess", "--new"]).exits(3);
    assert_eq!(remote.git_there(&["branch", "--show-current"]), "side\n");
    remote.world.git(&["checkout", "-q", "--detach", "main"]);
    remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    assert_eq!(remote.git_there(&["rev-parse", "HEAD"]).trim(), remote.world.head());
}

#[test]
fn s1_no_hook_of_the_repository_runs_on_either_machine() {
    let remote = Remote::with(ONE);
    remote.up().exits(0);
    let names = [
        "pre-push",
        "post-checkout",
        "post-merge",
        "pre-receive",
        "post-receive",
        "update",
        "push-to-checkout",
        "reference-transaction",
        "post-index-change",
    ];
    for hooks in [remote.world.repo().join(".git/hooks"), remote.checkout().join(".git/hooks")] {
        fs::create_dir_all(&hooks).unwrap();
        for name in names {
            let hook = hooks.join(name);
            fs::write(&hook, format!("#!/bin/sh\necho {name} >> {}/ledger\n", remote.world.root().display()))
                .unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(hook, mode).unwrap();
        }
    }
    remote.world.git(&[
        "-c",
        "core.hooksPath=/dev/null",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "More",
    ]);
    let before = remote.world.ledger().len();
    let ran = remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    assert!(ran.stderr.contains("are fetched to"), "{}", ran.stderr);
    assert_eq!(remote.git_there(&["rev-parse", "HEAD"]).trim(), remote.world.head());
    assert_eq!(&remote.world.ledger()[before..], [""; 0]);
}

/// Settings of a repository that name a program for all that moves files or commits.
fn canaries(config: &std::path::Path, remote: &Remote, side: &str) {
    let root = remote.world.root().display();
    let canary = remote.world.root().join(format!("{side}-canary"));
    fs::write(&canary, format!("#!/bin/sh\necho {side} $1 >> {root}/ledger\ncat\n")).unwrap();
    fs::set_permissions(&canary, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let run = canary.display();
    let text = format!(
        "[filter \"evil\"]\n\tclean = {run} clean\n\tsmudge = {run} smudge\n\trequired\n\
         [core]\n\tsshCommand = {run} ssh\n\tfsmonitor = {run} monitor\n\talternateRefsCommand = {run} alternates\n\
         [url \"ssh://x/\"]\n\tinsteadOf = /\n\
         [merge]\n\tverifySignatures\n[gpg]\n\tprogram = {run} gpg\n"
    );
    let before = fs::read_to_string(config).unwrap();
    fs::write(config, before + &text).unwrap();
}

#[test]
fn s1_no_program_of_the_repositorys_settings_runs_on_either_machine() {
    let remote = Remote::with(ONE);
    remote.commit(".gitattributes", "* filter=evil\n");
    remote.up().exits(0);
    remote.commit("README", "more\n");
    canaries(&remote.world.repo().join(".git/config"), &remote, "here");
    canaries(&remote.checkout().join(".git/config"), &remote, "there");
    // Nothing but its time has changed: git would have to look at what is in it.
    fs::File::options()
        .append(true)
        .open(remote.checkout().join("ilchul.yaml"))
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    let ran = remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    assert!(ran.stderr.contains("are fetched to"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(remote.checkout().join("README")).unwrap(), "more\n");
    assert_eq!(remote.world.ledger(), [""; 0]);
}

#[test]
fn s3_git_settings_of_the_environment_there_lead_into_no_other_repository() {
    let mut remote = Remote::with(ONE);
    let victim = remote.home().join("victim");
    let mut git = Command::new("git");
    assert!(git.args(["init", "-q", "--template="]).arg(&victim).status().unwrap().success());
    let config = fs::read_to_string(victim.join(".git/config")).unwrap();
    let path = victim.display().to_string();
    remote.environment = format!("GIT_DIR={path}/.git GIT_WORK_TREE={path} GIT_INDEX_FILE={path}/.git/i");
    remote.cut();
    remote.serve();
    for text in ["one", "two"] {
        remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
        remote.commit("more", text);
    }
    assert!(remote.checkout().join("ilchul.yaml").exists());
    assert_eq!(fs::read_to_string(victim.join(".git/config")).unwrap(), config);
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
}

#[test]
fn a_workflow_that_is_not_committed_is_refused_before_anything_is_sent() {
    let remote = Remote::with(ONE);
    fs::write(remote.world.repo().join("ilchul.yaml"), "version: 1\ntasks: { b: { run: 'true' } }\n")
        .unwrap();
    refuses(&remote, "it has changes that aren't committed");
    fs::write(remote.world.repo().join("new.yaml"), "version: 1\ntasks: { b: { run: 'true' } }\n").unwrap();
    let ran = remote.run(&["up", "new.yaml"]).exits(1);
    assert!(ran.stderr.contains("it isn't committed"), "{}", ran.stderr);
    let outside = remote.world.root().join("x.yaml");
    fs::write(&outside, "version: 1\ntasks: { b: { run: 'true' } }\n").unwrap();
    let ran = remote.run(&["up", outside.to_str().unwrap()]).exits(1);
    assert!(ran.stderr.contains("it isn't in this repository"), "{}", ran.stderr);
    assert!(!remote.checkout().exists());
}

#[test]
fn a_named_workflow_is_found_from_any_folder_and_other_changes_stay_here() {
    let remote = Remote::with(ONE);
    fs::create_dir(remote.world.repo().join("flows")).unwrap();
    remote.commit("flows/x.yaml", "version: 1\ntasks: { only: { run: 'test ! -e left' } }\n");
    fs::write(remote.world.repo().join("left"), "").unwrap();
    let mut command = remote.ilchul(&["up", "x.yaml", "--session", "subprocess"]);
    let ran = crate::world::ran(&command.current_dir(remote.world.repo().join("flows")).output().unwrap());
    let ran = ran.exits(0);
    assert!(ran.stderr.contains("Not sent, because uncommitted: left."), "{}", ran.stderr);
    assert!(ran.stderr.contains("of flows/x.yaml on there"), "{}", ran.stderr);
}

#[test]
fn changes_there_and_commits_that_are_not_here_are_refused_and_kept() {
    let remote = Remote::with(ONE);
    remote.up().exits(0);
    fs::write(remote.checkout().join("README"), "changed there\n").unwrap();
    refuses(&remote, "it has changes: README");
    assert_eq!(fs::read_to_string(remote.checkout().join("README")).unwrap(), "changed there\n");
    remote.git_there(&["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qam", "There"]);
    let there = remote.git_there(&["rev-parse", "HEAD"]);
    remote.commit("here", "x");
    refuses(&remote, "`main` has commits there that aren't part of it");
    assert_eq!(remote.git_there(&["rev-parse", "HEAD"]), there);
}

#[test]
fn l3_a_file_that_is_ignored_there_is_told_and_kept() {
    let remote = Remote::with(ONE);
    remote.commit(".gitignore", "data\n");
    remote.up().exits(0);
    fs::write(remote.checkout().join("data"), "precious\n").unwrap();
    fs::remove_file(remote.world.repo().join(".gitignore")).unwrap();
    remote.commit("data", "new\n");
    let before = remote.git_there(&["rev-parse", "HEAD"]);
    refuses(&remote, "would be overwritten by merge: data");
    let ran = remote.run(&["up", "--session", "subprocess", "--new", "--json"]).exits(1);
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("\"host_dirty\""), "{ran:?}");
    assert_eq!(fs::read_to_string(remote.checkout().join("data")).unwrap(), "precious\n");
    assert_eq!(remote.git_there(&["rev-parse", "HEAD"]), before);
    fs::rename(remote.checkout().join("data"), remote.home().join("data")).unwrap();
    remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    assert_eq!(fs::read_to_string(remote.checkout().join("data")).unwrap(), "new\n");
}

#[test]
fn a_commit_that_was_amended_here_goes_there_and_the_old_one_stays() {
    let remote = Remote::with("tasks: { a: { run: 'cat word; test -e $W/go', base: HEAD } }\n");
    remote.commit("word", "first");
    remote.up().exits(3);
    let old = remote.git_there(&["rev-parse", "HEAD"]);
    let amend = |text: &str| {
        fs::write(remote.world.repo().join("word"), text).unwrap();
        let who = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
        remote.world.git(&[&who[..], &["commit", "-q", "-a", "--amend", "-m", text]].concat());
    };
    amend("second");
    remote.world.touch("go");
    let ran = remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    assert!(ran.stderr.contains("`main` was rewritten here since it was sent"), "{}", ran.stderr);
    assert_eq!(remote.git_there(&["rev-parse", "HEAD"]).trim(), remote.world.head());
    assert_eq!(remote.git_there(&["status", "--porcelain"]), "");
    assert_eq!(fs::read_to_string(remote.checkout().join("word")).unwrap(), "second");
    let kept = format!("refs/ilchul-base/{}", old.trim());
    assert_eq!(remote.git_there(&["rev-parse", &kept]), old, "nothing sweeps it away");
    // A branch that isn't checked out there, and a commit that was made there.
    remote.world.git(&["checkout", "-q", "-b", "side"]);
    remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    amend("third");
    remote.world.git(&["branch", "-f", "main", "HEAD"]);
    remote.world.git(&["checkout", "-q", "main"]);
    remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    assert_eq!(remote.git_there(&["rev-parse", "main"]).trim(), remote.world.head());
    remote.git_there(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "There",
    ]);
    let there = remote.git_there(&["rev-parse", "--short", "HEAD"]);
    amend("fourth");
    refuses(&remote, &format!("`main` has commits there that aren't part of it: {}", there.trim()));
    assert_eq!(remote.git_there(&["rev-parse", "--short", "HEAD"]), there);
}

#[test]
fn a_run_that_goes_on_from_what_was_amended_here_says_so() {
    let remote = Remote::with(
        "tasks: { a: { run: 'cat word; test -e $W/go', base: HEAD }, b: { run: 'while [ ! -e $W/go ]; do sleep 0.05; done' } }\n",
    );
    remote.commit("word", "first");
    let old = remote.world.head();
    let up = remote.start_up();
    remote.supervisor();
    remote.run(&["down"]).exits(0);
    up.wait().exits(4);
    remote.world.git(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@localhost",
        "commit",
        "-q",
        "--amend",
        "-m",
        "x",
    ]);
    remote.world.touch("go");
    let ran = remote.run(&["up", "--detach"]).exits(0);
    let says = format!("goes on from {}, though `HEAD` is {} now", &old[..12], &remote.world.head()[..12]);
    assert!(ran.stderr.contains(&says) && ran.stderr.contains("`ilchul up --new`"), "{}", ran.stderr);
    remote.run(&["wait"]).exits(0);
    remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
}

#[test]
fn another_repository_of_the_same_name_is_kept_out() {
    let remote = Remote::with(ONE);
    remote.up().exits(0);
    let head = remote.git_there(&["rev-parse", "HEAD"]);
    let other = World::with("tasks: { b: { run: 'true' } }\n");
    let mut command = remote.ilchul(&["up"]);
    let ran = crate::world::ran(&command.current_dir(other.repo()).output().unwrap()).exits(1);
    assert!(ran.stderr.contains("it was made for"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--host there:FOLDER"), "{}", ran.stderr);
    assert_eq!(remote.git_there(&["rev-parse", "HEAD"]), head);
    // A folder of its own is the way out.
    let mut command = remote.on("there:work/b", &["up", "--session", "subprocess"]);
    crate::world::ran(&command.current_dir(other.repo()).output().unwrap()).exits(0);
    // What is no repository isn't made one.
    fs::create_dir_all(remote.home().join("full")).unwrap();
    fs::write(remote.home().join("full/x"), "").unwrap();
    let ran = crate::world::ran(&remote.on("there:full", &["up"]).output().unwrap()).exits(1);
    assert!(ran.stderr.contains("it isn't empty, and no repository"), "{}", ran.stderr);
}

#[test]
fn a_clone_that_the_user_made_there_is_used_as_it_is() {
    let remote = Remote::with(ONE);
    let clone = remote.home().join("mine");
    let mut git = Command::new("git");
    git.args(["clone", "-q"]).arg(remote.world.repo()).arg(&clone);
    assert!(git.status().unwrap().success());
    remote.commit("later", "x");
    let up = ["up", "--session", "subprocess"];
    let ran = crate::world::ran(&remote.on("there:mine", &up).output().unwrap()).exits(0);
    assert!(ran.stderr.contains("is a repository of its own"), "{}", ran.stderr);
    assert!(!clone.join("later").exists());
    // And from anywhere, without a repository here.
    let mut command = remote.on("there:mine", &["status"]);
    let ran = crate::world::ran(&command.current_dir(remote.world.root()).output().unwrap()).exits(0);
    assert!(ran.stdout.contains("completed"), "{}", ran.stdout);
}

#[test]
fn what_a_task_starts_from_goes_along_however_it_is_named() {
    let remote = Remote::with(ONE);
    remote.world.git(&["checkout", "-q", "-b", "side"]);
    remote.commit("one", "x");
    let one = remote.world.head();
    remote.commit("two", "x");
    remote.world.git(&["update-ref", "refs/remotes/origin/x", "HEAD"]);
    let two = remote.world.head();
    remote.world.git(&["checkout", "-q", "main"]);
    let task = |name: &str, base: &str, file: &str| {
        format!("  {name}: {{ base: '{base}', run: 'test -e {file}' }}\n")
    };
    let tasks = [
        task("a", "side~1", "one"),
        task("b", "origin/x", "two"),
        task("c", &one[..12], "one"),
        task("d", &format!("{two}^"), "one"),
        task("e", "main~1", "README"),
        task("f", "HEAD~1", "README"),
        task("g", "heads/side", "two"),
    ];
    remote.commit("ilchul.yaml", &format!("version: 1\ntasks:\n{}", tasks.concat()));
    for _ in 0..2 {
        remote.run(&["up", "--session", "subprocess", "--new"]).exits(0);
    }
    assert_eq!(
        remote.git_there(&["for-each-ref", "--format=%(refname)", "refs/remotes"]),
        "refs/remotes/origin/x\n"
    );
    // What nobody else could know is refused here, and says why.
    remote.world.git(&["update-ref", "refs/own/x", "side"]);
    remote.commit("ilchul.yaml", "version: 1\ntasks: { a: { base: refs/own/x, run: 'true' } }\n");
    refuses(&remote, "send the base `refs/own/x`: it means something in this clone only");
}

#[test]
fn what_keeps_a_checkout_there_from_moving_is_named() {
    let remote = Remote::with(ONE);
    remote.up().exits(0);
    fs::write(remote.checkout().join("in the way"), "kept").unwrap();
    remote.commit("in the way", "x");
    refuses(&remote, "would be overwritten by merge: in the way");
    assert_eq!(fs::read_to_string(remote.checkout().join("in the way")).unwrap(), "kept");
    fs::remove_file(remote.checkout().join("in the way")).unwrap();
    fs::write(remote.checkout().join(".git/index.lock"), "").unwrap();
    refuses(&remote, "index.lock': File exists");
}

#[test]
fn a_shallow_clone_is_refused_before_anything_is_made_there() {
    let remote = Remote::with(ONE);
    remote.commit("more", "x");
    let shallow = remote.world.root().join("shallow");
    let mut git = Command::new("git");
    git.args(["clone", "-q", "--depth=1"])
        .arg(format!("file://{}", remote.world.repo().display()))
        .arg(&shallow);
    assert!(git.status().unwrap().success());
    let mut command = remote.ilchul(&["up", "--session", "subprocess"]);
    let ran = crate::world::ran(&command.current_dir(&shallow).output().unwrap()).exits(1);
    assert!(ran.stderr.contains("git fetch --unshallow"), "{}", ran.stderr);
    assert!(!remote.home().join("ilchul").exists());
}
