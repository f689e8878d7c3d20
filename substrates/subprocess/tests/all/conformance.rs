//! The suite of all substrates over process groups. Left out: what only this one promises.

use crate::common::{World, identity, send};
use ilchul_conformance::{Harness, Hosts};
use ilchul_subprocess::Subprocess;
use ilchul_subprocess::process::{self, Identity};
use ilchul_substrate::{Handle, Mark, SessionSpec};
use nix::sys::signal::Signal;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

struct Hosted {
    world: World,
    /// A bearer of the mark that leads no group: the rest of something half made.
    bearers: Mutex<Vec<(Mark, Child)>>,
}

impl Hosted {
    fn new() -> Self {
        Self { world: World::new(), bearers: Mutex::new(Vec::new()) }
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        for (_, child) in self.bearers.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            drop(child.kill().and_then(|()| child.wait()));
        }
    }
}

impl Harness for Hosted {
    type S = Subprocess;

    fn hosts(&self) -> Hosts {
        Hosts::Session
    }

    fn substrate(&self) -> &Subprocess {
        &self.world.substrate
    }

    fn reopened(&self) -> Subprocess {
        Subprocess::new(Duration::from_secs(10))
    }

    fn run(&self) -> &str {
        &self.world.run
    }

    fn lasting(&self, mark: &Mark) -> SessionSpec {
        self.world.spec(mark, &["sleep", "600"])
    }

    fn ending(&self, mark: &Mark, exit: i32) -> Option<SessionSpec> {
        Some(self.world.script(mark, &format!("exit {exit}")))
    }

    fn obstruct(&self, mark: &Mark) -> bool {
        let mut command = Command::new("sleep");
        let command = command.arg("600").env("ILCHUL_MARK", mark.to_string());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("no sleep: {error}"));
        self.bearers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((mark.clone(), child));
        true
    }

    fn obstructed(&self, mark: &Mark) -> Result<(), String> {
        let bearers = self.bearers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let bearer = bearers.iter().find(|(borne, _)| borne == mark).ok_or("nothing was put there")?;
        match process::identify(bearer.1.id()).map_err(|error| error.to_string())? {
            Some(process) if !process.is_ended() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    }

    fn lose(&self, handle: &Handle) {
        send(identity(handle), Signal::SIGKILL);
    }

    fn mistaken(&self, handle: &Handle) -> Handle {
        // As if the pid had been another's when the handle was written.
        let Identity { start_ticks, .. } = identity(handle);
        let mut mistaken = handle.clone();
        mistaken.fields.insert("start_ticks".to_owned(), (start_ticks - 1).to_string());
        mistaken
    }

    fn kept(&self, handle: &Handle) -> Result<(), String> {
        let log = self.world.log(&handle.mark);
        if log.is_file() { Ok(()) } else { Err(format!("the log {}", log.display())) }
    }
}

ilchul_conformance::conformance!(Hosted::new);
