//! `scripts/install` below a folder of its own, by the plainest shell there is.

use std::fs;
use std::path::Path;

use super::world::{Ran, World, ran};

/// Runs the script, with a program that is built already.
fn install(world: &World, more: &[&str]) -> Ran {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/install");
    let mut command = world.sealed("sh");
    command.arg(script).args(["--program", env!("CARGO_BIN_EXE_ilchul")]).args(more);
    ran(&command.output().unwrap())
}

#[test]
fn everything_is_below_the_folder_that_was_named_and_goes_by_the_line_that_is_printed() {
    let world = World::new();
    let prefix = world.root().join("it's my prefix");
    let said = install(&world, &["--prefix", prefix.to_str().unwrap()]).exits(0).stdout;
    assert!(said.contains("note: ") && said.contains("isn't in PATH"), "{said}");
    let program = prefix.join("bin/ilchul");
    let version = ran(&world.sealed(&program).arg("--version").output().unwrap()).exits(0).stdout;
    assert!(said.contains(version.trim()), "{said}");
    let page = prefix.join("share/man/man1/ilchul-up.1");
    ran(&world.sealed("man").arg("-l").arg(&page).env("MANPAGER", "cat").output().unwrap()).exits(0);
    for script in [
        "share/bash-completion/completions/ilchul",
        "share/zsh/site-functions/_ilchul",
        "share/fish/vendor_completions.d/ilchul.fish",
    ] {
        assert!(fs::read_to_string(prefix.join(script)).unwrap().contains("ILCHUL_COMPLETE"), "{script}");
    }
    // Once more, over what is there; and away again.
    install(&world, &["--prefix", prefix.to_str().unwrap()]).exits(0);
    let (_, line) = said.split_once("To take it away again:\n").unwrap();
    ran(&world.sealed("sh").args(["-euc", line]).output().unwrap()).exits(0);
    let mut left = Vec::new();
    files(&prefix, &mut left);
    assert_eq!(left, [""; 0]);
}

fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path.display().to_string()) }
    }
}

#[test]
fn what_is_missing_is_said_before_anything_is_written() {
    let world = World::new();
    let prefix = world.root().join("prefix");
    let refused = |ran: Ran, why: &str| {
        let ran = ran.exits(1);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
        assert!(!prefix.exists());
    };
    let readme = world.repo().join("README");
    let other = ["--prefix", prefix.to_str().unwrap(), "--program", readme.to_str().unwrap()];
    refused(install(&world, &other), "no program");
    refused(install(&world, &["--prefix"]), "give a folder");
    refused(install(&world, &["--wrong"]), "don't know `--wrong`");
    let bare = World::new().without_tmux();
    fs::remove_file(Path::new(&bare.path).join("git")).unwrap();
    let usual = ["uname", "cut", "sort", "head", "dirname"];
    for tool in usual {
        let found = ["/usr/bin", "/bin"].map(|dir| Path::new(dir).join(tool));
        let found = found.iter().find(|path| path.exists()).unwrap();
        // Some are there already.
        let _ = std::os::unix::fs::symlink(found, Path::new(&bare.path).join(tool));
    }
    refused(install(&bare, &["--prefix", prefix.to_str().unwrap()]), "there is no git");
    let file = world.root().join("file");
    fs::write(&file, "").unwrap();
    refused(install(&world, &["--prefix", file.to_str().unwrap()]), "can't be written to");
}
