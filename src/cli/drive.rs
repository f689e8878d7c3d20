//! Driving a run: the lock, the world, the runtime. Shared by `up` and `down`.
//!
//! It leaves out which run, and what is said about it.

use std::time::Duration;

use ilchul_subprocess::process;

use super::error::CliError;
use super::exit_code::Exit;
use super::place::Place;
use super::placed;
use super::session::{self, Waits};
use crate::home::{Disk, Home};
use crate::journal::Journal;
use crate::journal::lock::{self, Holder, Lock};
use crate::supervisor::clock::Clock;
use crate::supervisor::environment::Inherited;
use crate::supervisor::signals::Signals;
use crate::supervisor::world::World;
use crate::supervisor::{End, Listener, Opened, Supervisor};
use crate::workflow::{SessionKind, Workflow};

/// How long a lock that was just let go of may still look held: a spawn of its last
/// holder may be halfway through its exec.
const SETTLE: Duration = Duration::from_millis(300);
/// How long a holder may take to say who it is. It does that first, so on a machine that is
/// overloaded this is how long it wasn't its turn. As long may a process that a dead holder had
/// just begun keep the lock.
const SIGNS: Duration = Duration::from_secs(5);
/// How often a held lock is tried again.
const TRY_EVERY: Duration = Duration::from_millis(20);
/// Threads for what blocks; more workers than this wait for each other.
const THREADS: usize = 64;

/// Takes the supervisor's lock within `patience`.
///
/// # Errors
/// Exit code 5 with who holds it.
pub fn lock(place: &Place, patience: Duration) -> Result<Lock, CliError> {
    take(&place.home, patience)
}

fn take(home: &Home, patience: Duration) -> Result<Lock, CliError> {
    let path = home.lock();
    crate::home::private_dir(home.root()).map_err(|error| {
        CliError::new("home", format!("make the home `{}`: {error}", home.root().display()))
            .hint("Name another one with `--home` or `ILCHUL_HOME`.")
    })?;
    let deadline = std::time::Instant::now() + patience.max(SETTLE);
    loop {
        let taken = Lock::take(&path).map_err(|error| {
            CliError::new("lock", format!("take the lock `{}`: {error}", path.display()))
                .hint(lock::advice(&error))
        })?;
        if let Some(lock) = taken {
            return Ok(lock);
        }
        let late = |by: Duration| std::time::Instant::now() >= deadline + by;
        let holder = lock::held(&path).ok().flatten().flatten();
        let is_left = lock::signer(&path).ok().flatten().is_some_and(is_ended);
        if late(Duration::ZERO) && ((holder.is_some() && !is_left) || late(SIGNS)) {
            return Err(held(home, (holder.as_ref(), is_left)));
        }
        std::thread::sleep(TRY_EVERY);
    }
}

/// Whether this pid of this host is proven to be nobody's who acts.
fn is_ended(pid: u32) -> bool {
    process::identify(pid).is_ok_and(|found| found.is_none_or(|process| process.is_ended()))
}

/// Who holds it; whoever signed may be dead, and have left it to a process that it began.
fn held(home: &Home, (holder, is_left): (Option<&Holder>, bool)) -> CliError {
    let host = holder.and_then(|holder| holder.host.as_ref());
    let at = host.map(|host| format!(" on `{host}`")).unwrap_or_default();
    let who = match holder {
        Some(holder) if is_left => {
            format!(
                "its supervisor, process {}, is dead, and a process that it began still has the lock",
                holder.pid
            )
        }
        Some(holder) if !holder.run.is_empty() => {
            format!("process {}{at} has driven the run `{}` since {}", holder.pid, holder.run, holder.since)
        }
        Some(holder) => format!("process {}{at} holds it since {}", holder.pid, holder.since),
        None => "another process holds it".to_owned(),
    };
    let lock = home.lock();
    let hint = match host {
        None if is_left => {
            &format!("Try again in a moment. If it stays so: `fuser {}` names that process.", lock.display())
        }
        // Its lock doesn't reach here, so only time tells that it has gone.
        Some(_) => "Run `ilchul down` to end it; if it was killed there, try again in a minute.",
        None => "Run `ilchul status` to see the run, or `ilchul down` to end it.",
    };
    let details = holder.and_then(|holder| serde_json::to_value(holder).ok()).unwrap_or_default();
    CliError::new("held", format!("take the home `{}`: {who}", home.root().display()))
        .exit(Exit::Held)
        .hint(hint)
        .details(details)
}

/// Writes who holds the lock, and goes on saying so where other hosts may look.
///
/// # Errors
/// What the system says.
pub fn sign(place: &Place, lock: &mut Lock, run: &str) -> Result<(), CliError> {
    let failed = |error| CliError::new("lock", format!("sign the lock: {error}"));
    let holder = Holder { pid: std::process::id(), run: run.to_owned(), since: now_text(), host: None };
    lock.sign(&holder).map_err(failed)?;
    if place.home.disk().is_ok_and(Disk::may_be_shared) {
        lock.touch_on(&place.home.lock()).map_err(failed)?;
    }
    Ok(())
}

/// The wall time, RFC 3339, to the second.
#[must_use]
pub fn now_text() -> String {
    let now = jiff::Timestamp::from_millisecond(crate::supervisor::clock::wall_ms() / 1000 * 1000);
    now.map(|now| now.to_string()).unwrap_or_default()
}

/// The world of a run.
///
/// # Errors
/// When its sessions can't be had, or our own program can't be found.
pub fn world(place: &Place, run: &str, kind: SessionKind, workflow: &Workflow) -> Result<World, CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::new("program", format!("find ilchul's own program: {error}")))?;
    let program = match kind {
        SessionKind::Tmux | SessionKind::Subprocess => program,
        // What is here needn't be on a node.
        SessionKind::Slurm => placed::program(&place.home, &program)?,
    };
    let asked = &workflow.slurm;
    let waits = Waits {
        grace: workflow.limits.grace,
        poll: asked.poll,
        settle: asked.settle,
        submit_every: asked.submit_every,
    };
    Ok(World {
        home: place.home.clone(),
        run: run.to_owned(),
        repository: Some(place.repository.clone()),
        sessions: session::open(place, run, kind, waits)?,
        inherited: Inherited::new(std::env::vars_os()),
        program,
        ports: std::sync::Arc::default(),
        cores: cores(),
    })
}

/// Processors that this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}

/// What a life is opened with.
#[must_use]
pub fn opened(world: World, journal: Journal, listener: Box<dyn Listener>, unattended: bool) -> Opened {
    Opened { world, journal, clock: Clock::kernel(), listener, unattended }
}

/// Hears the signals that ask for an end, from now on.
///
/// # Errors
/// What the system says.
pub fn signals() -> Result<Signals, CliError> {
    Signals::take().map_err(|error| CliError::new("signals", format!("listen to signals: {error}")))
}

/// Runs a supervisor to its end, or until one of `signals`. `open` is called inside the runtime.
///
/// # Errors
/// What ended it against its will.
pub fn run(
    signals: Signals,
    open: impl FnOnce() -> Result<Supervisor, CliError>,
    prepare: impl FnOnce(&mut Supervisor) -> Result<(), CliError>,
) -> Result<(End, Supervisor), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()
        .map_err(|error| CliError::new("runtime", format!("start the runtime: {error}")))?;
    let ended = runtime.block_on(async {
        let mut supervisor = open()?;
        supervisor.heed(signals);
        prepare(&mut supervisor)?;
        match supervisor.run().await {
            Ok(end) => Ok((end, supervisor)),
            Err(error) => {
                // The journal is read again by a new handle, and this one must be gone by then.
                drop(supervisor);
                Err(error.into())
            }
        }
    });
    // A job that hangs (a stuck git) must not keep us: nothing that it does is undone by leaving.
    runtime.shutdown_background();
    ended
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    fn home(top: &Path) -> Home {
        let home = Home::at(top.join("home"));
        crate::home::private_dir(home.root()).unwrap();
        home
    }

    /// A process that ended: its pid is nobody else's until it is reaped.
    fn dead() -> Child {
        let child = Command::new("true").spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while !is_ended(child.id()) {
            assert!(Instant::now() < until, "it doesn't end");
            std::thread::sleep(TRY_EVERY);
        }
        child
    }

    /// A child that has the lock of a holder who signed as `pid`, for so many seconds.
    fn left(home: &Home, pid: u32, seconds: &str) -> Child {
        let path = home.lock();
        let mut lock = Lock::take(&path).unwrap().expect("free");
        lock.sign(&Holder { pid, run: "r".into(), since: "x".into(), host: None }).unwrap();
        let signed = fs::read(&path).unwrap();
        drop(lock);
        fs::write(&path, signed).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let whole = libc::flock {
            l_type: libc::F_WRLCK.try_into().unwrap(),
            l_whence: libc::SEEK_SET.try_into().unwrap(),
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&whole)).unwrap();
        Command::new("sleep").arg(seconds).stdin(Stdio::from(file)).spawn().unwrap()
    }

    #[test]
    fn j9_a_child_of_a_dead_holder_is_waited_for() {
        let top = tempfile::tempdir().unwrap();
        let home = home(top.path());
        let mut holder = dead();
        let mut child = left(&home, holder.id(), "1.5");
        let taken = take(&home, Duration::ZERO);
        assert!(taken.is_ok(), "{taken:?}");
        child.wait().unwrap();
        holder.wait().unwrap();
    }

    #[test]
    fn j9_a_child_of_a_dead_holder_that_keeps_the_lock_is_told() {
        let top = tempfile::tempdir().unwrap();
        let home = home(top.path());
        let mut holder = dead();
        let mut child = left(&home, holder.id(), "60");
        let refused = take(&home, Duration::ZERO).unwrap_err();
        let why = format!("process {}, is dead, and a process that it began still has the lock", holder.id());
        assert!(refused.message.contains(&why), "{}", refused.message);
        child.kill().unwrap();
        child.wait().unwrap();
        holder.wait().unwrap();
        assert!(take(&home, Duration::ZERO).is_ok());
    }

    #[test]
    fn j9_a_holder_that_lives_is_named() {
        let top = tempfile::tempdir().unwrap();
        let home = home(top.path());
        let me = std::process::id();
        let mut child = left(&home, me, "60");
        let refused = take(&home, Duration::ZERO).unwrap_err();
        assert!(refused.message.contains(&format!("process {me} has driven the run `r`")), "{refused:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
