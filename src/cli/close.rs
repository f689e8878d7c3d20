//! What `workers --close`, `release` and `cleanup` share: looking at workers and judging what was seen.
//!
//! It leaves out what follows from a verdict.

use std::collections::BTreeMap;

use super::Global;
use super::error::CliError;
use super::read::{OfRun, Read};
use crate::engine::close::{self, Looked};
use crate::engine::event::Event;
use crate::engine::view::WorkerView;
use crate::journal::Recorded;
use crate::supervisor::close::Close;

/// The facts of a check whose values name kept bytes.
const ARCHIVED: [&str; 2] = ["sha256", "log_sha256"];

/// A run, and what the evidence of each of its workers kept.
#[derive(Debug)]
pub struct Closing {
    /// The run.
    pub read: Read,
    archived: BTreeMap<String, Vec<String>>,
}

impl Closing {
    /// Reads the run that is meant.
    ///
    /// # Errors
    /// When there is none, or the journal is damaged.
    pub fn open(global: &Global, of: &OfRun) -> Result<Self, CliError> {
        let (read, archived) = Read::open_with(global, of, archived)?;
        Ok(Self { read, archived })
    }

    /// Looks at those workers that `wanted` takes, all in one moment.
    #[must_use]
    pub fn look(&self, wanted: impl Fn(&WorkerView) -> bool) -> Vec<(&WorkerView, Looked)> {
        let Read { place, view, .. } = &self.read;
        let eyes = Close::new(&place.home, &view.id, &place.repository, &view.base_name);
        let look = |worker: &'_ WorkerView| {
            let archived = self.archived.get(&worker.id).map(Vec::as_slice).unwrap_or_default();
            eyes.look(worker, archived)
        };
        view.workers.iter().filter(|worker| wanted(worker)).map(|worker| (worker, look(worker))).collect()
    }

    /// The verdict on every worker.
    #[must_use]
    pub fn verdicts(&self) -> BTreeMap<String, close::Close> {
        let looked = self.look(|_| true).into_iter();
        looked.map(|(worker, looked)| (worker.id.clone(), close::judge(&looked))).collect()
    }
}

/// The hashes that evidence of each worker names.
fn archived(rows: &[Recorded]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        let Event::Evidence(event) = &row.event else { continue };
        let facts = ARCHIVED.iter().filter_map(|name| event.checked.facts.get(name)?.as_str());
        let of_worker = found.entry(format!("{}.{}", event.task, event.attempt)).or_default();
        of_worker.extend(facts.map(str::to_owned));
    }
    found
}
