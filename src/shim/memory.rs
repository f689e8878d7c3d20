//! Whether the kernel ended processes of this job because its memory was used up.
//!
//! A cluster's job has a limit of its own, kept by control groups: whoever is over it gets a
//! SIGKILL, which looks like anybody's. The group counts them. It leaves out groups that others
//! share, where a count says nothing of this worker, and what follows.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// The part of a group's path that is a batch script's own. What is above it is called by the
/// job's number, or from 26.05 on by another name of the job's.
const OWN: &str = "step_batch";

/// How many processes of this job were ended so; `None` where it has no group of its own.
pub(super) fn ends() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let text = fs::read_to_string(file(Path::new(MOUNT), &groups)?).ok()?;
    count(&text)
}

/// The file that counts, from what `/proc/self/cgroup` says.
fn file(mount: &Path, groups: &str) -> Option<PathBuf> {
    let named = |controller: &str| {
        groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers.split(',').any(|one| one == controller).then(|| path.trim_start_matches('/'))
        })
    };
    // The first version has a tree for each controller, the second one tree without a name.
    let (path, file) = match named("memory") {
        Some(path) => (Path::new("memory").join(path), "memory.oom_control"),
        None => (PathBuf::from(named("")?), "memory.events"),
    };
    path.iter().any(|part| part == OWN).then(|| mount.join(path).join(file))
}

/// Both versions write a line for each of their numbers.
fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(groups: &str) -> Option<String> {
        file(Path::new("/m"), groups).map(|path| path.display().to_string())
    }

    #[test]
    fn both_versions_of_control_groups_are_known_and_only_the_jobs_own_counts() {
        let first = "8:pids:/\n4:memory:/slurm_n1/uid_0/job_7/step_batch\n0::/\n";
        assert_eq!(
            of(first).as_deref(),
            Some("/m/memory/slurm_n1/uid_0/job_7/step_batch/memory.oom_control")
        );
        let second = "0::/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0\n";
        assert_eq!(
            of(second).as_deref(),
            Some("/m/system.slice/slurmstepd.scope/job_7/step_batch/user/task_0/memory.events")
        );
        let later = "0::/slurm/s1A2B/step_batch/user/task_0\n";
        assert_eq!(of(later).as_deref(), Some("/m/slurm/s1A2B/step_batch/user/task_0/memory.events"));
        // Shared with others.
        for other in ["4:memory:/user.slice\n0::/\n", "0::/user.slice\n", "0::/slurmd.service\n", ""] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn the_number_is_read_from_either_file() {
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), Some(2));
        assert_eq!(count("low 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n"), Some(1));
        assert_eq!(count("oom 1\n"), None);
    }
}
