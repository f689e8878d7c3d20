//! The commands of the README and the guides, run as they stand there, against the built program.
//!
//! A `sh` block under `<!-- tested -->` is executed in a sealed world: a clone of a
//! small repository, an environment of its own, a private home and git configuration.
//! It leaves out what commands print: that is what the acceptance tests hold.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may panic as the test may")]

#[path = "readme/guides.rs"]
mod guides;
#[path = "readme/reference.rs"]
mod reference;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// More than everything in the README takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The marked blocks of a document, in order.
fn tested_blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() != "<!-- tested -->" {
            continue;
        }
        assert_eq!(lines.next(), Some("```sh"), "a tested block begins with ```sh");
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(block.join("\n"));
    }
    blocks
}

/// A small repository's clone, and a home for whoever works in it.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(world.path("home/.config/git")).unwrap();
        fs::create_dir(world.path("tmux")).unwrap();
        let identity = "[user]\nname = Reader\nemail = reader@localhost\n[init]\ndefaultBranch = main\n";
        fs::write(world.path("home/.config/git/config"), identity).unwrap();
        let made = world.run(
            &world.path(""),
            "git init -q origin && cd origin && echo A small project. > NOTES.md && git add . &&
             git commit -q -m 'Begin' && cd .. && git clone -q origin project",
        );
        assert!(made.0.success(), "{}", made.1);
        world
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// Runs lines of shell; what they printed comes with how they ended.
    fn run(&self, here: &Path, script: &str) -> (ExitStatus, String) {
        let program = Path::new(env!("CARGO_BIN_EXE_ilchul")).parent().unwrap().to_owned();
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([program].into_iter().chain(std::env::split_paths(&inherited)));
        let printed = fs::File::create(self.path("printed")).unwrap();
        let child = Command::new("sh")
            .args(["-euc", script])
            .current_dir(here)
            .env_clear()
            .env("PATH", path.unwrap())
            .env("HOME", self.path("home"))
            .env("XDG_CONFIG_HOME", self.path("home/.config"))
            .env("XDG_STATE_HOME", self.path("home/.state"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("TMUX_TMPDIR", self.path("tmux"))
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stderr(printed.try_clone().unwrap())
            .stdout(printed)
            .spawn()
            .unwrap();
        let status = wait(child, script);
        (status, fs::read_to_string(self.path("printed")).unwrap())
    }
}

fn wait(mut child: Child, script: &str) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("not done after {PATIENCE:?}: {script}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_the_readme_tells_its_readers_to_run_works() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks = tested_blocks(&text);
    assert!(blocks.len() >= 2, "the README has {} tested blocks", blocks.len());
    let world = World::new();
    for block in blocks {
        let (status, printed) = world.run(&world.path("project"), &block);
        assert!(status.success(), "{status}\n{block}\n--\n{printed}");
    }
    // The reader's own checkout: what the README itself made there, and nothing else.
    let (_, left) = world.run(&world.path("project"), "git status --porcelain --ignored; git stash list");
    assert_eq!(left, "");
    let (_, branch) = world.run(&world.path("project"), "git branch --show-current");
    assert_eq!(branch, "main\n");
}

#[test]
fn a_block_that_fails_is_seen_to_fail() {
    let world = World::new();
    let (status, printed) = world.run(&world.path("project"), "echo before\nilchul fly\necho after");
    assert_eq!(status.code(), Some(2), "{printed}");
    assert!(printed.contains("before") && !printed.contains("after"), "{printed}");
}

#[test]
fn only_marked_blocks_are_run() {
    let text = "```sh\nrm -r x\n```\n<!-- tested -->\n```sh\na\nb\n```\n```yaml\nc: d\n```\n";
    assert_eq!(tested_blocks(text), ["a\nb"]);
}
