//! What changed nothing, and what changed round the workers: refused reports, ignored inputs,
//! drift. Told in the order in which it happened.
//!
//! It leaves out what anybody should do about it.

use serde_json::{Value, json};

use super::super::drift;
use super::super::words::{line, reason};
use super::words::stamp;
use crate::engine::event::{Event, ReportStep, RunEvent, WorkerStep};
use crate::engine::moment::Stamp;

/// Entries of each kind that are listed; the rest is counted, because a worker can make any number.
const SHOWN: usize = 200;

/// Three lists.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    refused: Listed,
    ignored: Listed,
    drift: Listed,
}

/// The first of many.
#[derive(Debug, Clone, Default)]
struct Listed {
    rows: Vec<Value>,
    more: usize,
}

impl Listed {
    fn push(&mut self, row: impl FnOnce() -> Value) {
        if self.rows.len() < SHOWN {
            self.rows.push(row());
        } else {
            self.more += 1;
        }
    }

    fn json(&self) -> Value {
        json!({"rows": self.rows, "more": self.more})
    }
}

impl Notes {
    /// From a run's events with their numbers, oldest first.
    pub fn gather<'e>(events: impl Iterator<Item = (u64, Stamp, &'e Event)>) -> Self {
        let mut notes = Self::default();
        for (seq, at, event) in events {
            notes.take((seq, at), event);
        }
        notes
    }

    fn take(&mut self, (seq, at): (u64, Stamp), event: &Event) {
        match event {
            Event::Report(event) => {
                if let ReportStep::Refused { code, detail, sha256 } = &event.step {
                    self.refused.push(|| {
                        json!({"seq": seq, "at": stamp(at), "worker": event.worker, "what": "report",
                            "code": code, "detail": line(detail), "sha256": sha256})
                    });
                }
            }
            Event::Worker(event) => {
                if let WorkerStep::SubmissionRefused { n, sha256, .. } = &event.step {
                    self.refused.push(|| {
                        json!({"seq": seq, "at": stamp(at), "worker": event.worker,
                            "what": format!("submission {n}"), "code": "refused",
                            "detail": reason(&event.reason), "sha256": sha256})
                    });
                }
            }
            Event::Ignored(event) => self.ignored.push(|| {
                json!({"seq": seq, "at": stamp(at), "worker": event.worker, "what": line(&event.input),
                    "code": event.code, "detail": line(&event.detail)})
            }),
            Event::Run(RunEvent::Drifted(drifted)) => self.drift.push(|| {
                json!({"seq": seq, "at": stamp(at), "workers": drifted.workers,
                    "words": drift::words(&drifted.drift)})
            }),
            Event::Run(_) | Event::Task(_) | Event::Claim(_) | Event::Evidence(_) => {}
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"refused": self.refused.json(), "ignored": self.ignored.json(), "drift": self.drift.json()})
    }
}
