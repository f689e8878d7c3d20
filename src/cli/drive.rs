//! Driving a run: the lock, the world, the runtime. Shared by `up` and `down`.
//!
//! It leaves out which run, and what is said about it.

use std::time::Duration;

use super::error::CliError;
use super::exit_code::Exit;
use super::place::Place;
use super::placed;
use super::session::{self, Waits};
use crate::home::Disk;
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
/// overloaded this is how long it wasn't its turn.
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
    let path = place.home.lock();
    crate::home::private_dir(place.home.root()).map_err(|error| {
        CliError::new("home", format!("make the home `{}`: {error}", place.home.root().display()))
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
        if late(Duration::ZERO) && (holder.is_some() || late(SIGNS)) {
            return Err(held(place, holder.as_ref()));
        }
        std::thread::sleep(TRY_EVERY);
    }
}

fn held(place: &Place, holder: Option<&Holder>) -> CliError {
    let host = holder.and_then(|holder| holder.host.as_ref());
    let at = host.map(|host| format!(" on `{host}`")).unwrap_or_default();
    let who = match holder {
        Some(holder) if !holder.run.is_empty() => {
            format!("process {}{at} has driven the run `{}` since {}", holder.pid, holder.run, holder.since)
        }
        Some(holder) => format!("process {}{at} holds it since {}", holder.pid, holder.since),
        None => "another process holds it".to_owned(),
    };
    let hint = match host {
        // Its lock doesn't reach here, so only time tells that it has gone.
        Some(_) => "Run `ilchul down` to end it; if it was killed there, try again in a minute.",
        None => "Run `ilchul status` to see the run, or `ilchul down` to end it.",
    };
    let details = holder.and_then(|holder| serde_json::to_value(holder).ok()).unwrap_or_default();
    CliError::new("held", format!("take the home `{}`: {who}", place.home.root().display()))
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
