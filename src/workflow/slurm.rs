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
    if let Some((name, value)) = name.split_once(char::is_whitespace) {
        return Some(format!("`{option}` is one word: write `--{name}={}`", value.trim_start()));
    }
    // Slurm takes any beginning of a name that fits one alone.
    let owned = OWNED
        .iter()
        .find(|(owned, _)| *owned == name)
        .or_else(|| OWNED.iter().find(|(owned, _)| owned.starts_with(name)));
    owned.map(|(owned, instead)| format!("`--{owned}` is ilchul's own: {instead}"))
}

/// The least that a job may take: Slurm counts minutes.
const LEAST_TIME: Duration = Duration::from_secs(60);
/// The least between two questions to a controller that serves everybody.
const LEAST_POLL: Duration = Duration::from_millis(100);

/// The key that is said by an option as well, and the option's name.
fn said_twice(asked: &SlurmRequest) -> Option<(&'static str, &'static str)> {
    let keys = [
        ("partition", "partition", asked.partition.is_some()),
        ("account", "account", asked.account.is_some()),
        ("qos", "qos", asked.qos.is_some()),
        ("cpus", "cpus-per-task", asked.cpus.is_some()),
        ("mem", "mem", asked.mem.is_some()),
        ("gres", "gres", asked.gres.is_some()),
        ("constraint", "constraint", asked.constraint.is_some()),
    ];
    let names = asked.sbatch.iter().filter_map(|option| option.strip_prefix("--")?.split('=').next());
    let names: Vec<&str> = names.collect();
    // Of three letters on, a beginning of one of these names fits no other option.
    let is = |option: &str, name: &str| option == name || (name.len() > 3 && option.starts_with(name));
    let twice = |option: &str| names.iter().any(|name| is(option, name));
    keys.into_iter().find(|(_, option, set)| *set && twice(option)).map(|(key, option, _)| (key, option))
}

/// As people write it.
fn spoken(time: Duration) -> String {
    match time.as_secs() {
        secs if secs > 0 && secs.is_multiple_of(3600) => format!("{}h", secs / 3600),
        secs if secs > 0 && secs.is_multiple_of(60) => format!("{}m", secs / 60),
        secs => format!("{secs}s"),
    }
}

impl Sink<'_> {
    /// Warns where a task's job is over before the task's own time is. What nobody wrote isn't
    /// warned of.
    pub(super) fn outlives(
        &mut self,
        at: &Path<'_>,
        body: &Fields<'_, '_>,
        asked: &SlurmRequest,
        timeout: Duration,
    ) {
        let Some(time) = asked.time.or(self.cluster.time).filter(|time| *time < timeout) else { return };
        let own = body.get("slurm").filter(|_| asked.time.is_some());
        if let Some(field) = own.or_else(|| body.get("timeout")) {
            let (time, timeout) = (spoken(time), spoken(timeout));
            let message =
                format!("the job ends after {time} (`slurm.time`), before the task's `timeout` of {timeout}");
            self.warn(&at.key(field.key.name), field.span, message);
        }
    }

    /// A duration that isn't shorter than `least`.
    fn at_least(
        &mut self,
        at: &Path<'_>,
        field: Option<Field<'_, '_>>,
        (least, why): (Duration, &str),
    ) -> Option<Duration> {
        let field = field?;
        let value = self.duration(at, field)?;
        if value < least {
            self.error(&at.key(field.key.name), field.span, why);
        }
        Some(value)
    }

    fn once(&mut self, at: &Path<'_>, field: Field<'_, '_>, asked: &SlurmRequest) {
        if said_twice(&self.cluster).is_some() {
            return;
        }
        if let Some((key, option)) = said_twice(&asked.or(&self.cluster)) {
            let message = format!(
                "`--{option}` in `sbatch` is `{key}` once more, and Slurm takes the last: use the key `{key}` alone"
            );
            self.error(at, field.span, message);
        }
    }

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
        let time = (LEAST_TIME, "Slurm counts minutes: a job has at least `1m`");
        let poll = (LEAST_POLL, "a controller serves everybody: at least `100ms`, and `5s` is quick already");
        let asked = SlurmRequest {
            partition,
            account,
            qos,
            time: self.at_least(&at, body.get("time"), time),
            cpus: body.get("cpus").and_then(|field| self.small(&at, field)),
            mem,
            gres,
            constraint,
            setup: self.filled_texts(&at, body.get("setup")),
            export: self.exported(&at, body.get("export")),
            env_file,
            sbatch: self.sbatch_options(&at, body.get("sbatch")),
            poll: self.at_least(&at, body.get("poll"), poll),
            settle: body.get("settle").and_then(|field| self.duration(&at, field)),
            submit_every: body.get("submit_every").and_then(|field| self.duration(&at, field)),
        };
        self.once(&at, field, &asked);
        asked
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
    fn what_a_key_says_isnt_said_by_an_option_as_well() {
        for (file, task, key) in [
            ("{ mem: 2G, sbatch: ['--mem=5G'] }", "{}", "key `mem`"),
            ("{ partition: a }", "{ sbatch: [--part=b] }", "key `partition`"),
            ("{ sbatch: [--cpus-per-task=2] }", "{ cpus: 4 }", "key `cpus`"),
        ] {
            let why = load(file, task).unwrap_err();
            assert!(why.contains(key) && why.lines().count() == 1, "{why}");
        }
        load("{ mem: 2G, cpus: 2, sbatch: [--mem-bind=local, --exclusive] }", "{}").unwrap();
        load("{ sbatch: [--mem-per-cpu=2G, --partition=b] }", "{ cpus: 4 }").unwrap();
        let why = load("{ sbatch: ['--nodes 2'] }", "{}").unwrap_err();
        assert!(why.contains("write `--nodes=2`"), "{why}");
    }

    #[test]
    fn times_that_slurm_or_its_controller_cant_keep_are_refused_and_short_ones_are_told() {
        assert!(load("{ time: 30s }", "{}").unwrap_err().contains("counts minutes"));
        assert!(load("{}", "{ time: 500ms }").unwrap_err().contains("counts minutes"));
        assert!(load("{ poll: 1ms }", "{}").unwrap_err().contains("at least `100ms`"));
        load("{ poll: 100ms, time: 1m }", "{}").unwrap();
        let warnings = |slurm: &str, task: &str| {
            let text = format!("version: 1\nslurm: {slurm}\ntasks: {{ a: {{ run: x, {task} }} }}\n");
            let loaded = super::super::load("x.yaml", text.as_bytes()).unwrap();
            loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().concat()
        };
        let both = "ends after 10m (`slurm.time`), before the task's `timeout` of 2h";
        assert!(warnings("{}", "timeout: 2h, slurm: { time: 10m }").contains(both));
        assert!(warnings("{ time: 10m }", "timeout: 2h").contains(both));
        assert_eq!(warnings("{ time: 2h }", "timeout: 10m"), "");
        assert_eq!(warnings("{ time: 2m }", "retries: 1"), "", "nobody wrote the other time");
    }

    #[test]
    fn a_file_of_variables_has_a_whole_path_and_exports_are_names() {
        let why = load("{ env_file: secrets, export: ['A=B'] }", "{}").unwrap_err();
        assert!(why.contains("no whole path") && why.contains("A=B"), "{why}");
    }
}
