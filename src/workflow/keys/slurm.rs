//! The keys of `slurm`, for a workflow and for one task.
//!
//! What the values mean to Slurm isn't said here; they are handed on as they are written.

use super::{Key, Shape, Table, key};

const PARTITION: Key = key("partition", "Which part of the cluster. Default: the site's.", Shape::Text);
const ACCOUNT: Key = key("account", "Who pays.", Shape::Text);
const QOS: Key = key("qos", "Quality of service.", Shape::Text);
const TIME: Key = key(
    "time",
    "The job's wall time. Default: the task's `timeout`, the time of `setup`, and what the node needs before (5m, with a tree 20m).",
    Shape::Duration,
);
const CPUS: Key = key("cpus", "Processors. Default: the site's.", Shape::Count(1, 100_000));
const MEM: Key = key("mem", "Memory, as Slurm writes it: 4G.", Shape::Text);
const GRES: Key = key("gres", "Generic resources: gpu:1.", Shape::Text);
const CONSTRAINT: Key = key("constraint", "Features that the node has.", Shape::Text);
const SETUP: Key = key(
    "setup",
    "Lines for a login shell on the node, before the worker: module load gcc.",
    Shape::List(&Shape::Text),
);
const EXPORT: Key =
    key("export", "Variables of ilchul's own environment that the session has.", Shape::List(&Shape::Text));
const ENV_FILE: Key =
    key("env_file", "A file of NAME=VALUE lines for the session; its owner alone can read it.", Shape::Text);
const SBATCH: Key = key(
    "sbatch",
    "Any further long option of sbatch, but those that are ilchul's own.",
    Shape::List(&Shape::Text),
);

pub(in crate::workflow) static SLURM: Table = Table {
    doc: "What each job asks of a Slurm cluster, unless its task asks for something else.",
    keys: &[
        PARTITION,
        ACCOUNT,
        QOS,
        TIME,
        CPUS,
        MEM,
        GRES,
        CONSTRAINT,
        SETUP,
        EXPORT,
        ENV_FILE,
        SBATCH,
        key(
            "settle",
            "How long a job's files may still arrive after Slurm called it over, or lacked it. Default: 60s.",
            Shape::Duration,
        ),
        key("poll", "Between two questions to Slurm's controller. Default: 10s.", Shape::Duration),
        key("submit_every", "Between two submits, after twenty at once. Default: 500ms.", Shape::Duration),
    ],
    refused: &[],
};

pub(in crate::workflow) static TASK_SLURM: Table = Table {
    doc: "What the task's job asks of a Slurm cluster.",
    keys: &[PARTITION, ACCOUNT, QOS, TIME, CPUS, MEM, GRES, CONSTRAINT, SETUP, EXPORT, ENV_FILE, SBATCH],
    refused: &[
        ("poll", "is one for the whole run, in the workflow's own `slurm`"),
        ("settle", "is one for the whole run, in the workflow's own `slurm`"),
        ("submit_every", "is one for the whole run, in the workflow's own `slurm`"),
    ],
};
