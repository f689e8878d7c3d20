//! A sealed world that knows the cluster, and the cluster's own switches.
//!
//! It leaves out assertions.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::world::{Ran, Up, World, ran, wait_until};

/// How long anything may take here: a node that vanished is missed only after half a minute.
pub const LONG: Duration = Duration::from_secs(150);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A world on the cluster, which is whole again when the next test gets it.
pub struct Site {
    pub world: World,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    pub fn with(tasks: &str) -> Self {
        Self::with_poll("500ms", tasks)
    }

    pub fn with_poll(poll: &str, tasks: &str) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let world = World::with(&format!("slurm: {{ poll: {poll}, settle: 3s }}\n{tasks}"));
        Self { world, _turn: turn }
    }

    pub fn ilchul(&self, args: &[&str]) -> Command {
        let mut command = self.world.ilchul(args);
        command.env(
            "SLURM_CONF",
            std::env::var_os("SLURM_CONF").unwrap_or_else(|| panic!("run scripts/slurm-test")),
        );
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        ran(&self.ilchul(args).output().unwrap())
    }

    /// `up` on the cluster, to its end.
    pub fn up(&self) -> Ran {
        self.run(&["up", "--session", "slurm"])
    }

    pub fn start_up(&self) -> Up {
        self.world.spawn(self.ilchul(&["up", "--session", "slurm"]))
    }

    /// Where the session of a worker is written down.
    pub fn session_folder(&self, worker: &str) -> std::path::PathBuf {
        let run = self.world.run_id().unwrap();
        self.world.home().run(&run).join(format!("slurm/ilchul.{run}.{worker}"))
    }

    /// The node and job of a worker that runs.
    pub fn claim(&self, worker: &str) -> (String, String) {
        let path = self.session_folder(worker).join("claim");
        let text = until("the claim", || std::fs::read_to_string(&path).ok());
        let value = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            found.unwrap_or_default().to_owned()
        };
        (value("node"), value("job"))
    }

    /// Jobs of this world's run that Slurm holds in one of these states.
    pub fn jobs(&self, states: &str) -> Vec<String> {
        let run = self.world.run_id().unwrap();
        let all = slurm(&["squeue", "--me", "-h", "-t", states, "-o", "%j"]);
        all.lines().filter(|name| name.starts_with(&format!("ilchul.{run}."))).map(str::to_owned).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(run) = self.world.run_id() {
            for line in slurm(&["squeue", "--me", "-h", "-o", "%A %j"]).lines() {
                if let Some((id, _)) = line.split_once(' ').filter(|(_, name)| name.contains(&run)) {
                    slurm(&["scancel", id]);
                }
            }
        }
        // Accounting too, where there is any and a test took it down.
        cluster(&["start"]);
    }
}

pub fn slurm(words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn folder() -> String {
    std::env::var("ILCHUL_SLURM_DIR")
        .unwrap_or_else(|_| panic!("there is no cluster: run scripts/slurm-test"))
}

/// One verb of `scripts/slurm-cluster`.
pub fn cluster(words: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/slurm-cluster");
    let mut command = Command::new(script);
    command.arg(words[0]).arg(folder()).args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    assert!(command.status().unwrap().success(), "{words:?}");
}

/// The controller's process.
pub fn controller() -> nix::unistd::Pid {
    let text = std::fs::read_to_string(Path::new(&folder()).join("slurmctld.pid")).unwrap();
    let pid = text.trim().parse().unwrap();
    assert!(pid > 1);
    nix::unistd::Pid::from_raw(pid)
}

/// All processes that a job started, by what Slurm gave them along.
pub fn processes_of(job: &str) -> Vec<nix::unistd::Pid> {
    // Another cluster may have a job of this number.
    let given =
        [format!("SLURM_JOB_ID={job}"), format!("SLURM_CONF={}", std::env::var("SLURM_CONF").unwrap())];
    let is_of_it = |pid: &i32| {
        let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |one: &String| bytes.split(|byte| *byte == 0).any(|other| other == one.as_bytes());
        given.iter().all(has)
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let found: Vec<_> = pids.filter(is_of_it).map(nix::unistd::Pid::from_raw).collect();
    assert!(!found.is_empty() && found.iter().all(|pid| pid.as_raw() > 1), "job {job}");
    found
}

/// The first `Some` of `look`, within [`LONG`].
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    loop {
        let late = Instant::now() >= deadline;
        if let Some(found) = look() {
            return found;
        }
        assert!(!late, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `up`'s end, which may take longer here than elsewhere.
#[track_caller]
pub fn ended(mut up: Up) -> Ran {
    until("the end of `up`", || up.has_ended().then_some(()));
    up.wait()
}

/// A worker goes on while its node's daemon is gone and the controller has lost its memory: its
/// beats count more than any list.
pub fn forgotten_but_beating() {
    let site =
        Site::with("tasks: { a: { run: 'echo a >> $W/ledger; while ! test -e $W/go; do sleep 0.1; done' } }");
    let up = site.start_up();
    site.world.await_task("a", "in_progress");
    wait_until("the work", || site.world.ledger().len() == 1);
    let (node, _) = site.claim("a.1");
    // Its daemon would end what the controller doesn't know.
    cluster(&["hang", &node]);
    cluster(&["forget"]);
    until("the controller", || slurm(&["sinfo", "-h", "-o", "%P"]).contains("main").then_some(()));
    assert_eq!(site.jobs("all"), [""; 0]);
    let began = Instant::now();
    // Three answers over three seconds would have been enough to call it gone.
    until("many looks that lack it", || (began.elapsed().as_secs() >= 10).then_some(()));
    site.world.touch("go");
    ended(up).exits(0);
    assert_eq!(site.world.ledger(), ["a"]);
    assert_eq!(site.world.state().tasks[0].attempt, 1);
}

/// Whether a node was told to abort this job, and did.
pub fn node_aborted(job: &str) -> bool {
    let words = format!("job {job} abort completed");
    (1..=4).any(|node| {
        let log = Path::new(&folder()).join(format!("slurmd.n{node}.log"));
        std::fs::read_to_string(log).is_ok_and(|text| text.contains(&words))
    })
}
