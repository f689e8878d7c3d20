//! What a Slurm cluster does: read from its own settings, and tried with one tiny job.
//!
//! The probe job is the one thing that this command starts. It leaves out the nodes' own
//! state: that is `sinfo`'s to say.

use std::path::Path;
use std::time::{Duration, Instant};

use ilchul_slurm::{Pace, Site, Slurm};
use ilchul_substrate::{Exit, Mark, Request, SessionSpec, State, Substrate, Urgency};

use super::Finding;
use crate::cli::error::words;
use crate::cli::{choose, place, placed};
use crate::home::Home;
use crate::workflow::{SlurmRequest, Workflow};

/// How long the controller may take to answer.
const LIMIT: Duration = Duration::from_secs(20);
/// How long the probe job may wait and run; longer is said, and it is taken back.
const PATIENCE: Duration = Duration::from_secs(60);
/// The wall time that it asks for.
const PROBE_WALL: Duration = Duration::from_secs(120);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Below this a record may be gone before anybody looked three times.
const SHORT_MEMORY: u64 = 60;

/// What the probe job does; each exit says what is missing. All is run and not only found: a file
/// system may forbid it, and a wrapper may have nothing behind it.
const SCRIPT: &str = "touch written || exit 3
git --version || exit 4
tmux -V || exit 5
\"$1\" --version || exit 6";

/// Everything about the cluster of `SLURM_CONF`.
pub(super) fn all(workflow: Option<&Workflow>) -> Vec<Finding> {
    let version = match choose::slurm_version() {
        Ok(version) => version,
        Err(why) => return vec![Finding::fail("slurm", why, "Run this where Slurm's commands are.")],
    };
    let mut findings = vec![Finding::ok("slurm", version)];
    let site = match Site::ask(LIMIT) {
        Ok(site) => site,
        Err(why) => {
            let advice = "Look at `scontrol ping`, and at `SLURM_CONF`.";
            findings.push(Finding::fail("slurm controller", why, advice));
            return findings;
        }
    };
    findings.extend(of_site(&site));
    findings.push(probe(workflow));
    findings
}

/// What follows from the site's settings.
fn of_site(site: &Site) -> Vec<Finding> {
    let name = site.get("ClusterName").unwrap_or("a cluster without a name").to_owned();
    let mut findings = vec![Finding::ok("slurm controller", format!("it answers for `{name}`"))];
    let age = site.seconds("MinJobAge");
    findings.push(match age {
        Some(age) if age >= SHORT_MEMORY => {
            Finding::ok("slurm memory", format!("ended jobs are known for {age} s (MinJobAge)"))
        }
        Some(age) => Finding::warn(
            "slurm memory",
            format!("ended jobs are known for {age} s only (MinJobAge)"),
            "Workers are told by their own files; ask less seldom with `slurm: { poll: 5s }`.",
        ),
        None => Finding::warn("slurm memory", "MinJobAge isn't told", "Nothing depends on it alone."),
    });
    findings.push(if site.has_accounting() {
        Finding::ok("slurm accounting", "`sacct` is asked about what left the queue")
    } else {
        Finding::ok(
            "slurm accounting",
            "there is none; what left the queue without a word of its own counts as ended",
        )
    });
    let wait = site.seconds("KillWait").unwrap_or(30);
    findings.push(Finding::ok("slurm ends", format!("{wait} s between TERM and KILL (KillWait)")));
    if site.get("JobRequeue") == Some("1") {
        findings
            .push(Finding::ok("slurm requeue", "jobs are restarted by default; ilchul's say `--no-requeue`"));
    }
    let tracked = site.get("ProctrackType").unwrap_or("unknown");
    findings.push(if tracked == "proctrack/cgroup" {
        Finding::ok("slurm processes", "cgroups end whatever a job leaves")
    } else {
        Finding::warn(
            "slurm processes",
            format!("`{tracked}` loses processes that leave their parent"),
            "The worker's own guard ends its tree; what flees from that lives on.",
        )
    });
    findings
}

/// One tiny job, in the home if there is one: that is the folder that nodes must see.
fn probe(workflow: Option<&Workflow>) -> Finding {
    let root = match place::find(None) {
        Ok(place) if place.home.root().is_dir() => place.home.root().to_owned(),
        Ok(place) => place.home.root().parent().map_or_else(std::env::temp_dir, Path::to_owned),
        Err(_) => match std::env::current_dir() {
            Ok(here) => here,
            Err(error) => {
                return Finding::warn("slurm probe", format!("there is no folder to try in: {error}"), "");
            }
        },
    };
    let failed = |why: String| Finding::fail("slurm probe", why, "See `slurm.log` in the probe's folder.");
    let folder = match tempfile::Builder::new().prefix(".ilchul-probe-").tempdir_in(&root) {
        Ok(folder) => folder,
        Err(error) => return failed(format!("no folder in `{}`: {error}", root.display())),
    };
    match run(folder.path(), request(workflow)) {
        Ok(took) => {
            let tried = "a job saw this folder, ran this program from it, and has git and tmux";
            Finding::ok("slurm probe", format!("{tried}, {:.1} s after its submit", took.as_secs_f64()))
        }
        Err((why, false)) => {
            let advice = "It was taken back. The cluster may be busy: see `squeue` and `sinfo`.";
            Finding::warn("slurm probe", why, advice)
        }
        // Kept to be looked at.
        Err((why, true)) => failed(format!("{why}; see `{}`", folder.keep().display())),
    }
}

/// What the workflow's jobs ask for: a site may take none without an account, and another
/// partition's nodes prove nothing of the one that is used.
fn request(workflow: Option<&Workflow>) -> Request {
    let asked = workflow.map(|workflow| &workflow.slurm);
    Request {
        options: asked.map(SlurmRequest::options).unwrap_or_default(),
        setup: asked.map(|asked| asked.setup.clone()).unwrap_or_default(),
        env_file: asked.and_then(|asked| asked.env_file.as_ref()).map(Into::into),
        wall: Some(PROBE_WALL),
    }
}

/// How long it took; or why not, and whether that is a failure.
fn run(folder: &Path, request: Request) -> Result<Duration, (String, bool)> {
    let hard = |error: &dyn std::error::Error| (words(error), true);
    let jobs = Slurm::new(folder.join("jobs"), Pace { interval: Duration::from_secs(1), ..Pace::default() });
    let mark = Mark::new("doctor", "probe", 1).map_err(|error| hard(&error))?;
    let here = std::env::current_exe().map_err(|error| hard(&error))?;
    let program =
        placed::program(&Home::at(folder.to_owned()), &here).map_err(|error| (error.message, true))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let spec = SessionSpec {
        title: "probe.1".to_owned(),
        cwd: folder.to_owned(),
        argv: vec!["/bin/sh".into(), "-c".into(), SCRIPT.into(), "probe".into(), program.into_os_string()],
        env: vec![("PATH".into(), path)],
        log: folder.join("log"),
        capture: false,
        request,
    };
    let began = Instant::now();
    let handle = jobs.ensure(&mark, &spec).map_err(|error| hard(&error))?;
    let mut last = String::new();
    while began.elapsed() < PATIENCE {
        match jobs.observe(std::slice::from_ref(&handle)).into_iter().next().map(|seen| seen.state) {
            Some(State::Ended(Some(Exit::Code(0)))) => return Ok(began.elapsed()),
            Some(State::Ended(exit)) => return Err((said(exit), true)),
            Some(State::Queued(why) | State::Stuck(why) | State::Unknown(why)) => last = why,
            Some(State::Live(_)) => "it runs".clone_into(&mut last),
            Some(State::Absent) | None => "Slurm doesn't know it".clone_into(&mut last),
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let _ = jobs.release(&handle, Urgency::AtOnce);
    Err((format!("job {} wasn't through after {} s: {last}", handle.id, PATIENCE.as_secs()), false))
}

fn said(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(3)) => "the node can't write into the home's folder".to_owned(),
        Some(Exit::Code(4)) => {
            "there is no git on the node, which puts the files into a worker's tree; a line of \
             `slurm.setup` may load it, and isn't tried here"
                .to_owned()
        }
        Some(Exit::Code(5)) => "there is no tmux on the node, so nobody can attach".to_owned(),
        Some(Exit::Code(6)) => {
            "the node can't run this program from the home's file system (`noexec`, or another kind of \
             processor)"
                .to_owned()
        }
        Some(Exit::Code(code)) => format!("it ended with {code}"),
        Some(Exit::Signal(signal)) => format!("it was ended by signal {signal}"),
        None => "it ended without a word: the node may not see the folder".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;
    use std::collections::BTreeMap;

    fn site(pairs: &[(&str, &str)]) -> Site {
        let settings = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Site { settings: settings.collect::<BTreeMap<_, _>>() }
    }

    #[test]
    fn the_probe_asks_for_what_the_workflows_jobs_ask_for() {
        let text = "version: 1\nslurm: { partition: gpu, account: lab, time: 2d, setup: [module load git] }\ntasks: { a: { run: x } }\n";
        let workflow = crate::workflow::load("x.yaml", text.as_bytes()).unwrap().workflow;
        let asked = request(Some(&workflow));
        for option in ["--partition=gpu", "--account=lab"] {
            assert!(asked.options.iter().any(|one| one == option), "{option} in {:?}", asked.options);
        }
        assert_eq!((asked.setup, asked.wall), (vec!["module load git".to_owned()], Some(PROBE_WALL)));
        assert_eq!(request(None), Request { wall: Some(PROBE_WALL), ..Request::default() });
    }

    #[test]
    fn each_end_of_the_probe_names_what_the_node_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let fake = |name: &str, code: i32| {
            use std::os::unix::fs::PermissionsExt;
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\nexit {code}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let end = |lacking: &str| {
            for name in ["touch", "git", "tmux", "program"] {
                fake(name, i32::from(name == lacking));
            }
            let mut job = std::process::Command::new("/bin/sh");
            job.args(["-c", SCRIPT, "probe"]).arg(folder.path().join("program"));
            let status = job.env("PATH", folder.path()).status().unwrap();
            status.code().map(Exit::Code)
        };
        assert_eq!(end("nothing"), Some(Exit::Code(0)));
        for (lacking, words) in
            [("touch", "can't write"), ("git", "no git"), ("tmux", "no tmux"), ("program", "can't run this")]
        {
            assert!(said(end(lacking)).contains(words), "{lacking}");
        }
    }

    #[test]
    fn what_a_site_does_is_told_and_what_weakens_a_promise_is_a_warning() {
        let short = of_site(&site(&[("MinJobAge", "5 sec"), ("ProctrackType", "proctrack/linuxproc")]));
        let warned: Vec<_> =
            short.iter().filter(|one| one.level == Level::Warn).map(|one| one.what).collect();
        assert_eq!(warned, ["slurm memory", "slurm processes"]);
        let good = of_site(&site(&[
            ("ClusterName", "west"),
            ("MinJobAge", "300 sec"),
            ("KillWait", "30 sec"),
            ("JobRequeue", "1"),
            ("AccountingStorageType", "accounting_storage/slurmdbd"),
            ("ProctrackType", "proctrack/cgroup"),
        ]));
        assert!(good.iter().all(|one| one.level == Level::Ok), "{good:?}");
        assert!(good.iter().any(|one| one.found.contains("--no-requeue")));
    }
}
