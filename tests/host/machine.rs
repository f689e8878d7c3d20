//! Machines that lack something: room, the right to run programs, a system, git, what git leaves out.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::doctor::TOOLS;
use crate::remote::Remote;

const ONE: &str = "tasks: { a: { run: 'true' } }\n";

/// Names a program that is there already, on another disk.
fn elsewhere(remote: &Remote) {
    remote.settings(&format!("hosts: {{ there: {{ program: {} }} }}\n", env!("CARGO_BIN_EXE_ilchul")));
}

#[test]
fn a_full_home_is_told_with_what_has_no_room_and_room_is_all_it_takes() {
    let mut remote = Remote::with(ONE);
    remote.mount_home("size=1m");
    let program = remote.up().exits(1);
    assert!(program.stderr.contains("it can't be put into ~/.cache/ilchul"), "{}", program.stderr);
    assert!(program.stderr.contains("No space left on device"), "{}", program.stderr);
    assert!(program.stderr.contains("Look at the space"), "{}", program.stderr);
    remote.on_disk("test -z \"$(find .cache -type f)\"").exits(0);
    elsewhere(&remote);
    // Nothing that a pack makes smaller.
    let mut bytes = vec![0; 3 << 20];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
    fs::write(remote.world.repo().join("large"), bytes).unwrap();
    remote.commit("README", "more\n");
    let history = remote.up().exits(1);
    assert!(history.stderr.contains("failed to bring `~/ilchul/repo` on `there` to "), "{}", history.stderr);
    assert!(history.stderr.contains("No space left on device"), "{}", history.stderr);
    remote.on_disk("test -z \"$(find ilchul -name 'ilchul-sent*')\"").exits(0);
    remote.on_disk(&format!("mount -o remount,size=50m {}", remote.home().display())).exits(0);
    remote.up().exits(0);
    assert!(remote.ok(&["status"]).contains("completed"));
}

#[test]
fn a_home_that_runs_no_programs_is_told_once_and_takes_one_from_elsewhere() {
    let mut remote = Remote::with(ONE);
    remote.mount_home("size=400m,noexec");
    for sends in [true, false] {
        let ran = remote.up().exits(1);
        assert!(
            ran.stderr.contains("(`noexec`)") && ran.stderr.contains("`program` of `hosts`"),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.stderr.contains("Sending ilchul"), sends, "{}", ran.stderr);
    }
    elsewhere(&remote);
    remote.up().exits(0);
    assert!(remote.ok(&["status"]).contains("completed"));
}

#[test]
fn another_system_there_is_told_before_anything_is_sent() {
    let mut remote = Remote::with(ONE);
    let tools = remote.home().join("tools");
    fs::create_dir(&tools).unwrap();
    fs::write(tools.join("uname"), "#!/bin/sh\necho Linux riscv64\n").unwrap();
    fs::set_permissions(tools.join("uname"), PermissionsExt::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    remote.with_path(&format!("{}:{path}", tools.display()));
    for command in ["up", "status"] {
        let ran = remote.run(&[command]).exits(1);
        assert!(ran.stderr.contains("it is Linux riscv64, and this program is for Linux "), "{}", ran.stderr);
        assert!(ran.stderr.contains("name it by `program` of `hosts`"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("Sending"), "{}", ran.stderr);
    }
    assert!(!remote.home().join(".cache").exists());
}

#[test]
fn a_machine_without_git_is_told_before_anything_is_sent() {
    let mut remote = Remote::with(ONE);
    remote.with_tools_only(&TOOLS);
    let ran = remote.up().exits(1);
    assert!(ran.stderr.contains("failed to find git on `there`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("load it in the files of its login shell"), "{}", ran.stderr);
    assert!(!remote.home().join(".cache").exists() && !remote.checkout().exists());
}

#[test]
fn submodules_and_files_of_git_lfs_are_named_before_anything_goes_there() {
    let remote = Remote::with(
        "tasks: { a: { run: 'test -d vendor/x && test -z \"$(ls vendor/x)\" && grep -q git-lfs big.bin' } }\n",
    );
    let repo = remote.world.repo();
    fs::write(repo.join(".gitattributes"), "*.bin filter=lfs diff=lfs merge=lfs -text\n").unwrap();
    fs::write(repo.join("big.bin"), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        .unwrap();
    fs::create_dir_all(repo.join("vendor/x")).unwrap();
    let link = format!("160000,{},vendor/x", remote.world.head());
    remote.world.git(&["update-index", "--add", "--cacheinfo", &link]);
    remote.world.git(&["add", ".gitattributes", "big.bin"]);
    remote.world.git(&["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "Links"]);
    let ran = remote.up().exits(0);
    let at = |words: &str| ran.stderr.find(words).unwrap_or_else(|| panic!("{words}: {}", ran.stderr));
    let sent = at("Sending ilchul");
    assert!(at("Submodules don't travel, and are empty folders on there: vendor/x.") < sent);
    assert!(at("Files of Git LFS don't travel, and are their pointers on there: big.bin.") < sent);
    assert!(at("`--host there:FOLDER`") < sent);
}

#[test]
fn a_kind_of_agent_that_only_the_settings_there_define_is_no_error_here() {
    let remote = Remote::with(
        "agents: { a: { adapter: mine, model: m, mode: terminal, access: read-only } }\n\
         tasks: { t: { agent: a, prompt: Do it., model: other, evidence: [{ exit: 0 }] } }\n",
    );
    let ran = remote.run(&["up", "--detach"]).exits(1);
    assert!(ran.stderr.contains("no adapter `mine`"), "{}", ran.stderr);
    assert!(remote.checkout().exists(), "it is there that nobody knows it");
    let settings = remote.home().join(".config/ilchul");
    fs::create_dir_all(&settings).unwrap();
    fs::write(settings.join("config.yaml"), "agents: { mine: { like: claude } }\n").unwrap();
    let ran = remote.run(&["up", "--detach", "--session", "tmux"]);
    assert!(!ran.stderr.contains("no adapter"), "{}", ran.stderr);
    // What any machine would refuse is refused here.
    remote.commit(
        "ilchul.yaml",
        "version: 1\nagents: { a: { adapter: x } }\ntasks: { t: { agent: b, prompt: x, evidence: [{ exit: 0 }] } }\n",
    );
    let before = remote.git_there(&["rev-parse", "HEAD"]);
    let ran = remote.run(&["up", "--new"]).exits(1);
    assert!(ran.stderr.contains("no agent `b`"), "{}", ran.stderr);
    assert_eq!(remote.git_there(&["rev-parse", "HEAD"]), before);
}
