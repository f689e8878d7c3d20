//! `slurm`: what a cluster is asked for, of the whole workflow and of one task.
//!
//! Options that say who a job is, where it writes or how it ends are ilchul's own, and
//! are refused by name. It leaves out what the words mean to Slurm: that is Slurm's to say.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::Sink;
use super::fields::{Field, Fields};
use super::keys;
use super::millis;
use super::place::Path;
use super::scalar;

/// What a job asks for. `None` and empty: nobody said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SlurmRequest {
    /// Which part of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// Who pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Quality of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// The job's wall time.
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub time: Option<Duration>,
    /// Processors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Memory, as Slurm writes it (`4G`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem: Option<String>,
    /// Generic resources (`gpu:1`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gres: Option<String>,
    /// Features of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// Lines for a login shell on the node, before the worker (`module load gcc`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Variables of ilchul's own environment that the worker's session has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub export: Vec<String>,
    /// A file of `NAME=VALUE` lines that only its owner can read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_file: Option<String>,
    /// Any further long option of `sbatch`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sbatch: Vec<String>,
    /// Between two questions to the controller; of the workflow only. Default 10 s.
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub poll: Option<Duration>,
    /// How long files may arrive after Slurm's word; of the workflow only. Default 60 s.
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub settle: Option<Duration>,
    /// Between two submits, after the first few; of the workflow only. Default 500 ms.
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    pub submit_every: Option<Duration>,
}

impl SlurmRequest {
    /// Whether nobody asked for anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The same, with what it leaves open taken from `other`.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let list =
            |own: &Vec<String>, other: &Vec<String>| if own.is_empty() { other.clone() } else { own.clone() };
        let text = |own: &Option<String>, other: &Option<String>| own.clone().or_else(|| other.clone());
        Self {
            partition: text(&self.partition, &other.partition),
            account: text(&self.account, &other.account),
            qos: text(&self.qos, &other.qos),
            time: self.time.or(other.time),
            cpus: self.cpus.or(other.cpus),
            mem: text(&self.mem, &other.mem),
            gres: text(&self.gres, &other.gres),
            constraint: text(&self.constraint, &other.constraint),
            setup: list(&self.setup, &other.setup),
            export: list(&self.export, &other.export),
            env_file: text(&self.env_file, &other.env_file),
            sbatch: list(&self.sbatch, &other.sbatch),
            poll: self.poll.or(other.poll),
            settle: self.settle.or(other.settle),
            submit_every: self.submit_every.or(other.submit_every),
        }
    }

    /// The options that follow, but for the time, as `sbatch` takes them.
    #[must_use]
    pub fn options(&self) -> Vec<String> {
        let named = [
            ("partition", &self.partition),
            ("account", &self.account),
            ("qos", &self.qos),
            ("mem", &self.mem),
            ("gres", &self.gres),
            ("constraint", &self.constraint),
        ];
        let named =
            named.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
        let cpus = self.cpus.map(|cpus| format!("--cpus-per-task={cpus}"));
        named.chain(cpus).chain(self.sbatch.iter().cloned()).collect()
    }
}

/// Options that ilchul owns, and what to write instead where there is something.
pub const OWNED: &[(&str, &str)] = &[
    ("array", "a task is one job: `map` makes several"),
    ("chdir", "a worker stands in its tree"),
    ("clusters", "one cluster is asked: that of `SLURM_CONF`"),
    ("comment", "it holds the worker's mark"),
    ("dependency", "use `needs`"),
    ("error", "it is in the job's folder"),
    ("export", "use `slurm.export`"),
    ("export-file", "use `slurm.env_file`"),
    ("get-user-env", "use `slurm.setup`, which runs in a login shell"),
    ("input", "a worker reads its mail"),
    ("job-name", "it is the worker's mark"),
    ("kill-on-invalid-dep", "use `needs`"),
    ("no-requeue", "it always stands there"),
    ("open-mode", "the output is ilchul's"),
    ("output", "it is in the job's folder"),
    ("parsable", "it always stands there"),
    ("quiet", "answers are read"),
    ("requeue", "use `retries`: a job is never restarted"),
    ("signal", "the worker is told before its wall time is over"),
    ("test-only", "`ilchul plan` shows the line"),
    ("time", "use `slurm.time`"),
    ("uid", "jobs are yours"),
    ("wait", "ilchul waits"),
    ("wrap", "use `run`"),
];

/// Why `option` can't stand in `slurm.sbatch`.
fn refused(option: &str) -> Option<String> {
    let Some(name) = option.strip_prefix("--").and_then(|rest| rest.split('=').next()) else {
        return Some(format!("`{option}`: a long option is allowed here, as in --exclusive or --nodes=2"));
    };
    // Slurm takes any beginning of a name that fits one alone.
    let owned = OWNED
        .iter()
        .find(|(owned, _)| *owned == name)
        .or_else(|| OWNED.iter().find(|(owned, _)| owned.starts_with(name)));
    owned.map(|(owned, instead)| format!("`--{owned}` is ilchul's own: {instead}"))
}

impl Sink<'_> {
    /// `slurm` of a workflow or of a task, as far as it can be read.
    pub(super) fn slurm(&mut self, at: &Path<'_>, body: &Fields<'_, '_>) -> SlurmRequest {
        let Some(field) = body.get("slurm") else { return SlurmRequest::default() };
        let at = at.key("slurm");
        let table = if matches!(field.key.shape, keys::Shape::Table(table) if std::ptr::eq(table, &raw const keys::SLURM))
        {
            &keys::SLURM
        } else {
            &keys::TASK_SLURM
        };
        let Some(body) = self.fields(&at, field.value, table) else { return SlurmRequest::default() };
        let mut text = |name: &str| {
            let field = body.get(name)?;
            self.filled(&at.key(name), field.value).map(str::to_owned)
        };
        let (partition, account, qos) = (text("partition"), text("account"), text("qos"));
        let (mem, gres, constraint, env_file) =
            (text("mem"), text("gres"), text("constraint"), text("env_file"));
        if let (Some(file), Some(field)) = (&env_file, body.get("env_file"))
            && !file.starts_with('/')
        {
            let message = format!("`{file}` is no whole path, and a node has no other folder to start from");
            self.error(&at.key("env_file"), field.span, message);
        }
        SlurmRequest {
            partition,
            account,
            qos,
            time: body.get("time").and_then(|field| self.duration(&at, field)),
            cpus: body.get("cpus").and_then(|field| self.small(&at, field)),
            mem,
            gres,
            constraint,
            setup: self.filled_texts(&at, body.get("setup")),
            export: self.exported(&at, body.get("export")),
            env_file,
            sbatch: self.sbatch_options(&at, body.get("sbatch")),
            poll: body.get("poll").and_then(|field| self.duration(&at, field)),
            settle: body.get("settle").and_then(|field| self.duration(&at, field)),
            submit_every: body.get("submit_every").and_then(|field| self.duration(&at, field)),
        }
    }

    fn filled_texts(&mut self, at: &Path<'_>, field: Option<Field<'_, '_>>) -> Vec<String> {
        let Some(field) = field else { return Vec::new() };
        let at = at.key(field.key.name);
        let items = self.list(&at, field.value).unwrap_or_default().iter().enumerate();
        items.filter_map(|(index, item)| self.filled(&at.index(index), item).map(str::to_owned)).collect()
    }

    fn exported(&mut self, at: &Path<'_>, field: Option<Field<'_, '_>>) -> Vec<String> {
        let Some(field) = field else { return Vec::new() };
        let names = self.filled_texts(at, Some(field));
        for name in &names {
            if let Err(fault) = scalar::variable(name) {
                self.error(
                    &at.key("export"),
                    field.span,
                    format!("`{}`: {}", name.escape_debug(), fault.message),
                );
            }
        }
        names
    }

    fn sbatch_options(&mut self, at: &Path<'_>, field: Option<Field<'_, '_>>) -> Vec<String> {
        let Some(field) = field else { return Vec::new() };
        let options = self.filled_texts(at, Some(field));
        for why in options.iter().filter_map(|option| refused(option)) {
            self.error(&at.key("sbatch"), field.span, why);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(slurm: &str, task: &str) -> Result<super::super::Workflow, String> {
        let text = format!("version: 1\nslurm: {slurm}\ntasks: {{ a: {{ run: x, slurm: {task} }} }}\n");
        let loaded = super::super::load("x.yaml", text.as_bytes()).map_err(|errors| {
            errors.problems.iter().map(|problem| format!("{}: {problem}\n", problem.path)).collect::<String>()
        })?;
        Ok(loaded.workflow)
    }

    #[test]
    fn a_task_has_what_it_asks_for_and_the_workflows_for_the_rest() {
        let workflow = load(
            "{ partition: main, cpus: 2, time: 1h, setup: [module load gcc], sbatch: [--exclusive] }",
            "{ cpus: 4, mem: 4G, gres: 'gpu:1', export: [TOKEN] }",
        )
        .unwrap();
        let request = workflow.tasks[0].slurm.or(&workflow.slurm);
        let options = ["--partition=main", "--mem=4G", "--gres=gpu:1", "--cpus-per-task=4", "--exclusive"];
        assert_eq!(request.options(), options);
        assert_eq!(request.time, Some(Duration::from_secs(3_600)));
        assert_eq!((request.setup.len(), request.export.len()), (1, 1));
    }

    #[test]
    fn what_ilchul_owns_is_refused_by_name_with_what_to_write_instead() {
        let why = load(
            "{ sbatch: [--dependency=afterok:1, --no-req, -n1, --time=5, --nodes=2] }",
            "{ poll: 1s, settle: 1s, submit_every: 1s }",
        );
        let why = why.unwrap_err();
        for part in [
            "--dependency",
            "use `needs`",
            "--no-requeue",
            "`-n1`",
            "use `slurm.time`",
            "poll",
            "settle",
            "submit_every",
        ] {
            assert!(why.contains(part), "{part} in {why}");
        }
        assert_eq!(why.lines().count(), 7, "{why}");
    }

    #[test]
    fn a_file_of_variables_has_a_whole_path_and_exports_are_names() {
        let why = load("{ env_file: secrets, export: ['A=B'] }", "{}").unwrap_err();
        assert!(why.contains("no whole path") && why.contains("A=B"), "{why}");
    }
}
