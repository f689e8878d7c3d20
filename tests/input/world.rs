//! A sealed world: a temporary folder, an environment of our own, the built program.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; -1 after a signal.
    pub code: i32,
    /// Results.
    pub out: String,
    /// Talk.
    pub err: String,
}

impl Said {
    /// Stdout as one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The data of a good answer.
    pub fn data(&self) -> Value {
        let whole = self.json();
        assert_eq!((&whole["schema_version"], &whole["ok"]), (&1.into(), &true.into()), "{self:?}");
        whole["data"].clone()
    }

    /// The error of a bad one.
    pub fn error(&self) -> Value {
        let whole = self.json();
        assert_eq!((&whole["schema_version"], &whole["ok"]), (&1.into(), &false.into()), "{self:?}");
        whole["error"].clone()
    }
}

/// A temporary folder in which commands run.
pub struct World {
    top: tempfile::TempDir,
    real: PathBuf,
    vars: Vec<(String, PathBuf)>,
}

impl World {
    /// An empty one; `repo` in it is the working folder.
    pub fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        let real = top.path().canonicalize().unwrap();
        for name in ["repo", "user", "tmux", "empty"] {
            fs::create_dir(real.join(name)).unwrap();
        }
        Self { top, real, vars: Vec::new() }
    }

    /// One with a repository of one commit.
    pub fn repository() -> Self {
        let world = Self::new();
        world.git(&["init", "--quiet", "--initial-branch=main"]);
        world.write("repo/read.me", "hello\n");
        world.git(&["add", "."]);
        world.git(&["commit", "--quiet", "--message=first"]);
        world
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.real.join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Reads one.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Sets a variable for what runs from now on.
    pub fn set(&mut self, name: &str, value: impl Into<PathBuf>) {
        self.vars.retain(|(other, _)| other != name);
        self.vars.push((name.to_owned(), value.into()));
    }

    /// All files and folders, so that "nothing was touched" can be seen.
    pub fn listing(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.top.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
                found.push(entry.path());
            }
        }
        found.sort();
        found
    }

    /// The program `program` in the folder `folder`.
    fn command(&self, program: impl AsRef<OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).env_clear().stdin(Stdio::null());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.path("user"));
        command.env("TMUX_TMPDIR", self.path("tmux")).env("GIT_CONFIG_NOSYSTEM", "1");
        for (name, value) in ["NAME", "EMAIL"].into_iter().zip(["t", "t@example.org"]) {
            command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
        }
        command.envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs git in the repository; its output, trimmed.
    pub fn git(&self, args: &[&str]) -> String {
        let output = self.command("git", &self.path("repo")).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs ilchul in the repository.
    pub fn run(&self, args: &[&str]) -> Said {
        self.run_in("repo", args)
    }

    /// Runs ilchul in a folder.
    pub fn run_in(&self, folder: &str, args: &[&str]) -> Said {
        let mut command = self.command(env!("CARGO_BIN_EXE_ilchul"), &self.path(folder));
        let output = command.args(args).output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs ilchul in the repository; all that it says is exactly this.
    pub fn check(&self, args: &[&str], code: i32, out: &str, err: &str) {
        let said = self.run(args);
        let top = self.real.display().to_string();
        let found = (said.code, said.out.replace(&top, "<top>"), said.err.replace(&top, "<top>"));
        assert_eq!(found, (code, out.to_owned(), err.to_owned()), "ilchul {args:?}");
    }
}
