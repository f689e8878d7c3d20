//! The suite of all substrates over jobs. Left out: what only this one promises.

use crate::common::{World, slurm};
use ilchul_conformance::{Harness, Hosts};
use ilchul_slurm::Slurm;
use ilchul_substrate::{Handle, Mark, SessionSpec};
use std::fs;

struct Hosted(World);

impl Hosted {
    fn new() -> Self {
        Self(World::new())
    }
}

impl Harness for Hosted {
    type S = Slurm;

    fn hosts(&self) -> Hosts {
        Hosts::Session
    }

    fn substrate(&self) -> &Slurm {
        &self.0.substrate
    }

    fn reopened(&self) -> Slurm {
        self.0.reopened()
    }

    fn run(&self) -> &str {
        &self.0.run
    }

    fn lasting(&self, mark: &Mark) -> SessionSpec {
        self.0.spec(mark, &["sleep", "600"])
    }

    fn ending(&self, mark: &Mark, exit: i32) -> Option<SessionSpec> {
        Some(self.0.script(mark, &format!("exit {exit}")))
    }

    /// A folder of that name that holds something else.
    fn obstruct(&self, mark: &Mark) -> bool {
        let folder = self.0.folder.path().join("slurm").join(mark.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("mine"), "precious").unwrap();
        true
    }

    fn obstructed(&self, mark: &Mark) -> Result<(), String> {
        let folder = self.0.folder.path().join("slurm").join(mark.to_string());
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let text = fs::read_to_string(folder.join("mine")).map_err(|error| error.to_string())?;
        if text == "precious" && names == ["mine"] { Ok(()) } else { Err(format!("{text} {names:?}")) }
    }

    fn lose(&self, handle: &Handle) {
        slurm(&["scancel", &handle.id]);
    }

    fn mistaken(&self, handle: &Handle) -> Handle {
        let mut mistaken = handle.clone();
        mistaken.fields.insert("nonce".to_owned(), "0".repeat(32));
        mistaken
    }

    fn kept(&self, handle: &Handle) -> Result<(), String> {
        let folder = self.0.folder.path().join("slurm").join(handle.mark.to_string());
        for name in ["intent", "slurm.log", "exit"] {
            if !folder.join(name).is_file() {
                return Err(format!("{name} in {}", folder.display()));
            }
        }
        Ok(())
    }
}

ilchul_conformance::conformance!(Hosted::new);
