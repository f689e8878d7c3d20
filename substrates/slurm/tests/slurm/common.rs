//! The world of the tests: a run of its own, a root for its folders, an end for all its jobs.
//!
//! It leaves out assertions. Only jobs of this run's names are ever cancelled.

use ilchul_conformance::{PATIENCE, wait_for, wait_until};
use ilchul_slurm::{Pace, Slurm};
use ilchul_substrate::{Handle, Mark, Request, SessionSpec, State, Substrate};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

static WORLDS: AtomicU32 = AtomicU32::new(0);

pub struct World {
    pub substrate: Slurm,
    pub run: String,
    pub folder: TempDir,
}

/// As on a site, but in a hurry.
pub fn pace() -> Pace {
    Pace {
        interval: Duration::from_millis(200),
        limit: Duration::from_secs(20),
        doubt: Duration::from_secs(4),
        settle: Duration::from_secs(1),
        forget: Duration::from_secs(1),
        hopeless: Duration::from_secs(1),
        grace: Duration::from_secs(2),
        submit_every: Duration::from_millis(10),
    }
}

impl World {
    pub fn new() -> Self {
        assert!(std::env::var_os("SLURM_CONF").is_some(), "there is no cluster: run scripts/slurm-test");
        let number = WORLDS.fetch_add(1, Ordering::SeqCst);
        // The letter keeps `<run>0` from being another's run.
        let run = format!("t{}-{number}x", std::process::id());
        let folder = TempDir::new().unwrap();
        Self { substrate: Slurm::new(folder.path().join("slurm"), pace()), run, folder }
    }

    pub fn reopened(&self) -> Slurm {
        Slurm::new(self.folder.path().join("slurm"), pace())
    }

    pub fn mark(&self, task: &str) -> Mark {
        Mark::new(&self.run, task, 1).unwrap()
    }

    pub fn spec(&self, mark: &Mark, argv: &[&str]) -> SessionSpec {
        SessionSpec {
            title: mark.worker(),
            cwd: self.folder.path().to_owned(),
            argv: argv.iter().map(Into::into).collect(),
            env: vec![
                ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
                ("CANARY".into(), "it's 1".into()),
            ],
            log: self.folder.path().join(format!("{mark}.log")),
            capture: false,
            request: Request { wall: Some(Duration::from_secs(600)), ..Request::default() },
        }
    }

    pub fn script(&self, mark: &Mark, script: &str) -> SessionSpec {
        self.spec(mark, &["sh", "-c", script])
    }

    pub fn state(&self, handle: &Handle) -> State {
        self.substrate.observe(std::slice::from_ref(handle)).remove(0).state
    }

    pub fn live(&self, handle: &Handle) {
        wait_until("it runs", PATIENCE, || matches!(self.state(handle), State::Live(_)));
    }

    pub fn ended(&self, handle: &Handle) -> State {
        wait_for("it ends", PATIENCE, || {
            Some(self.state(handle)).filter(|state| matches!(state, State::Ended(_)))
        })
    }

    /// A file below the world's folder, once it is there and isn't empty.
    pub fn text(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        wait_for(name, PATIENCE, || fs::read_to_string(&path).ok().filter(|text| !text.is_empty()))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let jobs = slurm(&["squeue", "--me", "-h", "-o", "%A %j"]);
        let ours = format!("ilchul.{}", self.run);
        for line in jobs.lines() {
            // Best effort: a failing test must show its own failure.
            if let Some((id, _)) = line.split_once(' ').filter(|(_, name)| name.starts_with(&ours)) {
                slurm(&["scancel", "--batch", "--signal=USR2", id]);
                slurm(&["scancel", id]);
            }
        }
    }
}

pub fn slurm(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
