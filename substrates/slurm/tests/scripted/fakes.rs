//! The commands, what they were asked, and a process of its own for each test.
//!
//! It leaves out assertions about sessions.

use ilchul_conformance::{PATIENCE, wait_for, wait_until};
use ilchul_slurm::{Pace, Slurm};
use ilchul_substrate::{Handle, Mark, Observation, Request, SessionSpec, State, Substrate, Urgency};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const FOLDER: &str = "ILCHUL_FAKES";
/// Each logs its call, then does what the test put beside it.
const COMMAND: &str =
    "#!/bin/sh\nhere=${0%/bin/*}\necho \"${0##*/} $*\" >> \"$here/calls\"\n. \"$here/${0##*/}.do\"\n";
/// What they do unless a test says otherwise: one job, which is never listed.
const USUAL: [(&str, &str); 6] = [
    ("sbatch", "echo 7"),
    ("squeue", "cat \"$here/queue\""),
    ("scancel", ":"),
    ("sacct", "cat \"$here/accounts\""),
    ("scontrol", "echo 'AccountingStorageType = accounting_storage/none'; echo 'KillWait = 1 sec'"),
    ("srun", ":"),
];
/// An `sbatch` that starts the job beside it, as no job of any queue.
pub const STARTS: &str = "    cat > \"$here/script\"\n\
    SLURM_JOB_ID=7 SLURMD_NODENAME=n1 setsid sh \"$here/script\" > \"$here/job.log\" 2>&1 < /dev/null &\n\
    echo 7";

/// The folder of the commands, in the process that has them on its `PATH`.
pub struct Fakes {
    root: PathBuf,
    pub substrate: Slurm,
}

/// As on a site, but in a hurry.
pub fn pace() -> Pace {
    Pace {
        interval: Duration::from_millis(50),
        limit: Duration::from_secs(10),
        doubt: Duration::from_millis(400),
        settle: Duration::from_millis(400),
        forget: Duration::from_millis(400),
        hopeless: Duration::from_millis(200),
        grace: Duration::from_secs(20),
        submit_every: Duration::from_millis(1),
    }
}

/// Runs `body` in a process of its own: this very test, told where its commands are.
pub fn on_fakes(test: &str, body: impl FnOnce(&Fakes)) {
    if let Some(root) = std::env::var_os(FOLDER).map(PathBuf::from) {
        let substrate = Slurm::new(root.join("home it's 100%d #{x}/slurm"), pace());
        body(&Fakes { root: root.clone(), substrate });
        fs::write(root.join("ran"), test).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let bin = root.join("bin");
    fs::create_dir(&bin).unwrap();
    for (name, script) in USUAL {
        fs::write(bin.join(name), COMMAND).unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(root.join(format!("{name}.do")), script).unwrap();
    }
    for name in ["queue", "accounts", "calls"] {
        fs::write(root.join(name), "").unwrap();
    }
    let mut path = bin.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin")));
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args([test, "--exact", "--nocapture"]).env(FOLDER, root).env("PATH", path);
    // What would bend Slurm's commands, were it passed on.
    again.env("SQUEUE_FORMAT", "%i").env("SBATCH_PARTITION", "nowhere").env("SLURM_CLUSTERS", "other");
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(root.join("ran").exists(), "there is no test `{test}`: {said}");
}

impl Fakes {
    /// From now on `command` does this; `$here` is the folder of all.
    pub fn does(&self, command: &str, script: &str) {
        self.put(&format!("{command}.do"), script);
    }

    /// What `squeue` and `sacct` print, line by line: `queue`, `accounts`.
    pub fn put(&self, name: &str, text: &str) {
        // Whole for whoever reads it meanwhile.
        let temporary = self.root.join(format!("{name}.new"));
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, self.root.join(name)).unwrap();
    }

    pub fn text(&self, name: &str) -> String {
        let path = self.root.join(name);
        wait_for(name, PATIENCE, || fs::read_to_string(&path).ok().filter(|text| !text.is_empty()))
    }

    /// How `command` was called, each time.
    pub fn calls(&self, command: &str) -> Vec<String> {
        let all = fs::read_to_string(self.root.join("calls")).unwrap();
        let rest = |line: &str| line.strip_prefix(command)?.strip_prefix(' ').map(str::to_owned);
        all.lines().filter_map(rest).collect()
    }

    pub fn has_accounting(&self) {
        self.does(
            "scontrol",
            "echo 'AccountingStorageType = accounting_storage/slurmdbd'; echo 'KillWait = 1 sec'",
        );
    }

    pub fn spec(&self, mark: &Mark, script: &str) -> SessionSpec {
        SessionSpec {
            title: mark.worker(),
            cwd: self.root.clone(),
            argv: ["/bin/sh", "-c", script].map(Into::into).into(),
            env: vec![("PATH".into(), "/usr/bin:/bin".into())],
            log: self.root.join(format!("{mark} 100%d 'log'")),
            capture: true,
            request: Request::default(),
        }
    }

    /// A session whose job is submitted, and begun only if `sbatch` starts it.
    pub fn submitted(&self, task: &str, script: &str) -> Handle {
        let mark = Mark::new("r", task, 1).unwrap();
        self.substrate.ensure(&mark, &self.spec(&mark, script)).unwrap()
    }

    /// A session whose job `id` has begun somewhere, without a process here.
    pub fn begun(&self, task: &str, id: u64) -> Handle {
        self.does("sbatch", &format!("echo {id}"));
        let handle = self.submitted(task, "true");
        let folder = PathBuf::from(&handle.fields["folder"]);
        fs::write(folder.join("claim"), format!("job={id}\nnode=n1\nsocket=/nowhere\n")).unwrap();
        handle
    }

    /// A session whose job runs on this machine, and is in no list.
    pub fn running(&self, task: &str, script: &str) -> Handle {
        self.does("sbatch", STARTS);
        let handle = self.submitted(task, script);
        wait_until("it has begun", PATIENCE, || {
            PathBuf::from(&handle.fields["folder"]).join("claim").exists()
        });
        handle
    }

    /// A line of `squeue`.
    pub fn line(handle: &Handle, id: u64, state: &str) -> String {
        let nonce = &handle.fields["nonce"];
        format!("{id}|{mark}|{state}|None|n1|{mark} {nonce}\n", mark = handle.mark)
    }

    pub fn seen(&self, handle: &Handle) -> Observation {
        self.substrate.observe(std::slice::from_ref(handle)).remove(0)
    }

    /// What is said of it once that is neither `Live` nor `Unknown`; it must have been `Unknown`
    /// in between.
    pub fn settled(&self, handle: &Handle) -> Observation {
        let mut unknown = false;
        let settled = wait_for("it is settled", PATIENCE, || {
            let seen = self.seen(handle);
            unknown |= matches!(seen.state, State::Unknown(_));
            Some(seen).filter(|seen| !matches!(seen.state, State::Live(_) | State::Unknown(_)))
        });
        assert!(unknown, "{settled:?} at once");
        settled
    }

    pub fn release(&self, handle: &Handle, urgency: Urgency) -> Result<(), ilchul_substrate::Error> {
        self.substrate.release(handle, urgency)
    }
}
