//! What a fresh tree is given before its worker is ready: copies here, the rest left for its shim.
//!
//! It leaves out running any of it, and what was approved.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use ilchul_git_worktree::{Fill, GitWorktree};
use ilchul_substrate::Handle;

use super::graft::graft;
use super::include;
use super::launch::{Failure, Job, TreeSetup, of_workspace, write_first};
use super::world::World;
use crate::protocol::{self, CheckoutSpec, SetupSpec};

/// Bytes that are kept of what a setup prints.
const SETUP_LOG_CAP: u64 = 8 << 20;
/// Files that its log names of those that were copied.
const NAMED: usize = 20;

/// Whether its shim puts the files into its tree: where that is another host's, so that all of them
/// do it at once and this one idles. What is copied into a tree comes after its files, so such a
/// tree is filled here.
pub(super) fn is_deferred(world: &World, job: &Job) -> bool {
    let copies = |setup: &TreeSetup| !setup.include.is_empty() || !setup.listed.trim().is_empty();
    !world.sessions.capabilities().local_files && !job.setup.as_ref().is_some_and(copies)
}

/// Gives the tree what is copied into it, and leaves the rest for its shim: its files, where it was
/// made without them, and the commands.
pub(super) fn set_up(
    world: &World,
    job: &Job,
    (tree, workspace): (&Path, Option<&Handle>),
    folder: &Path,
) -> Result<(), Failure> {
    let (Some(repository), Some(workspace)) = (&world.repository, workspace) else { return Ok(()) };
    if let Some(setup) = &job.setup {
        copy(world, job, (repository, setup), tree)?;
    }
    let fill = if is_deferred(world, job) { repository.filling(workspace) } else { Ok(None) };
    let checkout = fill.map_err(|error| of_workspace(&error))?.map(of_fill);
    let lines = job.setup.as_ref().map(|setup| setup.run.clone()).unwrap_or_default();
    if lines.is_empty() && checkout.is_none() {
        return Ok(());
    }
    let setup = job.setup.as_ref();
    // May be secret, and git needs none of it.
    let env = if lines.is_empty() { BTreeMap::new() } else { job.extras.clone() };
    let spec = SetupSpec {
        checkout,
        commands: lines,
        timeout_ms: millis(setup.map(|setup| setup.timeout).unwrap_or_default()),
        grace_ms: millis(setup.map(|setup| setup.grace).unwrap_or_default()),
        env,
        log: world.home.setup_log(&world.run, &job.worker),
        log_cap: SETUP_LOG_CAP,
        // The terminal of a program that speaks for itself is captured into the worker's log.
        show: job.own_worker.is_none(),
    };
    let bytes = serde_json::to_vec(&spec).map_err(|error| ("setup", error.to_string(), false))?;
    write_first(folder, protocol::SETUP, &bytes)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn of_fill(fill: Fill) -> CheckoutSpec {
    CheckoutSpec {
        argv: fill.argv,
        env: fill.env,
        timeout_ms: millis(fill.limit),
        untouched: fill.untouched,
        record: fill.record,
        owed: fill.owed,
        done: fill.done,
        host_signs: fill.host_signs.iter().map(|sign| (*sign).to_owned()).collect(),
    }
}

/// Copies what the tree is given of the main checkout.
fn copy(
    world: &World,
    job: &Job,
    (repository, setup): (&GitWorktree, &TreeSetup),
    tree: &Path,
) -> Result<(), Failure> {
    let failed = |detail: String| ("setup", detail, false);
    let found = include::find(repository, &setup.include, &setup.listed).map_err(failed)?;
    let log = world.home.setup_log(&world.run, &job.worker);
    if !found.is_empty() {
        let count = graft(repository.main_checkout(), tree, &found)
            .map_err(|trouble| ("setup", trouble.detail, trouble.host))?;
        let names: Vec<&str> = found.iter().take(NAMED).map(|one| one.path.as_str()).collect();
        let more = if found.len() > NAMED { ", ..." } else { "" };
        let line = format!("[ilchul: copied {count} of {}: {}{more}]\n", found.len(), names.join(", "));
        let open = OpenOptions::new().append(true).create(true).mode(0o600).open(&log);
        // What was done isn't undone because nobody could write it down.
        let _ = open.and_then(|mut log| log.write_all(line.as_bytes()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::engine::timer;
    use ilchul_git_worktree::Limits;

    #[test]
    fn a_checkout_on_a_node_is_never_late_before_its_own_limit_is_over() {
        assert_eq!(timer::CHECKOUT, Limits::default().checkout);
    }
}
