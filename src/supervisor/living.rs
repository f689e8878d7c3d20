//! Who lives: every process of now, and by what it belongs to a worker.
//!
//! Read once for all workers that are asked about. A process belongs to a worker by its
//! session, by the names that it inherited, or because it works in the worker's tree. It
//! leaves out ending any.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ilchul_subprocess::process::{self, Identity, Process};

use super::leftover::environment;

/// The processes of one moment.
#[derive(Debug)]
pub(super) struct Living {
    seen: Vec<Seen>,
    /// Those of our own that can't be looked at: nobody can say where they work.
    hidden: Vec<Process>,
}

#[derive(Debug)]
struct Seen {
    process: Process,
    folder: Option<PathBuf>,
    /// The worker of the run whose names it inherited.
    worker: Option<String>,
}

impl Living {
    /// Looks at all processes but this one.
    ///
    /// # Errors
    /// When they can't be listed.
    pub(super) fn look(run: &str) -> io::Result<Self> {
        let mut living = Self { seen: Vec::new(), hidden: Vec::new() };
        for process in process::all()? {
            let pid = process.identity.pid;
            if process.is_ended() || process.kernel || pid == std::process::id() {
                continue;
            }
            let folder = fs::read_link(format!("/proc/{pid}/cwd"));
            // Others' processes can't enter a home, which is for its owner only.
            if is_denied(&folder) && is_ours(pid) {
                living.hidden.push(process);
            }
            let folder = folder.ok();
            living.seen.push(Seen { process, folder, worker: worker(pid, run) });
        }
        Ok(living)
    }

    /// What lives of a worker, each in words.
    ///
    /// # Errors
    /// When a process of ours can't be looked at, and none was found.
    pub(super) fn of(
        &self,
        worker: &str,
        tree: Option<&Path>,
        session: Option<Identity>,
    ) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for seen in &self.seen {
            let by = if session.is_some_and(|root| belongs(&seen.process, root)) {
                "of its session"
            } else if seen.worker.as_deref() == Some(worker) {
                "that it started"
            } else if tree.zip(seen.folder.as_deref()).is_some_and(|(tree, folder)| folder.starts_with(tree))
            {
                "in its tree"
            } else {
                continue;
            };
            let pid = seen.process.identity.pid;
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            // A pid may have changed hands since: what it is now isn't what was seen.
            if process::is_running(seen.process.identity).unwrap_or(true) {
                found.push(format!("process {pid} ({}) {by}", name.trim().escape_debug()));
            }
        }
        // Who is older than the session wasn't started by it; the first of all is no visitor.
        let younger = |process: &&Process| {
            let first = process.identity.pid == 1;
            !first && session.is_none_or(|root| process.identity.start_ticks >= root.start_ticks)
        };
        match self.hidden.iter().find(younger) {
            Some(process) if found.is_empty() => {
                Err(format!("nobody may see where process {} works", process.identity.pid))
            }
            Some(_) | None => Ok(found),
        }
    }
}

fn is_denied<T>(looked: &io::Result<T>) -> bool {
    looked.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn is_ours(pid: u32) -> bool {
    let owner = fs::metadata(format!("/proc/{pid}")).map(|found| found.uid());
    owner.is_ok_and(|owner| owner == nix::unistd::geteuid().as_raw())
}

/// The worker of `run` whose names a process inherited.
fn worker(pid: u32, run: &str) -> Option<String> {
    let variables = environment(pid);
    let value = |name: &str| {
        let mut all = variables.split(|byte| *byte == 0);
        all.find_map(|one| Some(String::from_utf8_lossy(one.strip_prefix(name.as_bytes())?).into_owned()))
    };
    (value("ILCHUL_RUN=")? == run).then(|| value("ILCHUL_WORKER="))?
}

/// The session's first process, or one of the group or session that it led: while one of
/// those lives, its pid isn't given to another.
fn belongs(process: &Process, root: Identity) -> bool {
    let led = process.group == root.pid || process.session == root.pid;
    process.identity == root
        || (led && process.identity.pid != root.pid && process.identity.start_ticks >= root.start_ticks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn r4_a_process_that_nobody_may_look_at_makes_it_unknown_unless_it_is_older() {
        let hidden = |pid, start_ticks| Process {
            identity: Identity { pid, start_ticks },
            parent: 1,
            group: pid,
            session: pid,
            state: b'S',
            kernel: false,
        };
        let session = Some(Identity { pid: 4_000_000, start_ticks: 100 });
        let of = |process| Living { seen: Vec::new(), hidden: vec![process] }.of("a.1", None, session);
        assert_eq!(of(hidden(7, 100)), Err("nobody may see where process 7 works".to_owned()));
        assert_eq!(of(hidden(7, 99)), Ok(Vec::new()));
        assert_eq!(of(hidden(1, 100)), Ok(Vec::new()));
    }

    #[test]
    fn what_works_in_a_tree_and_what_bears_its_names_is_named_and_nobody_else() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path().canonicalize().unwrap();
        let run = format!("living{}", std::process::id());
        let mut inside = Command::new("sleep").arg("600").current_dir(&path).spawn().unwrap();
        let mut bearer = Command::new("sleep")
            .arg("600")
            .current_dir("/")
            .envs([("ILCHUL_RUN", run.as_str()), ("ILCHUL_WORKER", "a.1")])
            .spawn()
            .unwrap();
        // A process bears its names only once its exec is done.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        let (living, found) = loop {
            let living = Living::look(&run).unwrap();
            let found = living.of("a.1", Some(&path), None);
            if found.as_ref().is_ok_and(|found| found.len() == 2) || std::time::Instant::now() > deadline {
                break (living, found);
            }
        };
        let other = living.of("a.11", Some(&path.join("below")), None);
        let session = process::identify(inside.id()).unwrap().map(|process| process.identity);
        let by_session = living.of("b.1", None, session);
        let expected = [
            format!("process {} (sleep) in its tree", inside.id()),
            format!("process {} (sleep) that it started", bearer.id()),
        ];
        for child in [&mut inside, &mut bearer] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let mut found = found.unwrap();
        found.sort_by_key(|words| words.ends_with("started"));
        assert_eq!(found, expected);
        assert_eq!(other, Ok(Vec::new()));
        assert_eq!(by_session, Ok(vec![format!("process {} (sleep) of its session", inside.id())]));
        assert_eq!(living.of("a.1", Some(&path), None), Ok(Vec::new()), "the dead don't live");
    }
}
