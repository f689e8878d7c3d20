//! Tasks that a worker submits, and what it is answered.
//!
//! The order in which the tasks stand is kept, because a refusal names one by its place. It
//! leaves out what a task may be: the workflow's reader judges that.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::shape::Field;
use super::shape::Kind::{Bool, Object, Positive, Text, Texts, U32, U64};
use super::{MAX_SUBMISSIONS, Problem, WORKER_SCHEMA, Wire, json, parse};

/// A worker's `submit-<n>.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The assignment's token.
    pub token: u64,
    /// Id and body of each task, in the order of the file.
    pub tasks: Vec<(String, Value)>,
}

impl Submission {
    /// Reads one.
    ///
    /// # Errors
    /// The first problem of the document. What is wrong with a task isn't one.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let SubmissionFile { token, tasks, .. } = parse(bytes)?;
        Ok(Self { token, tasks: in_order(bytes, tasks)? })
    }

    /// Only the tasks, of a document that may say nothing of whose they are.
    ///
    /// # Errors
    /// As [`Submission::parse`].
    pub fn tasks(bytes: &[u8]) -> Result<Vec<(String, Value)>, Problem> {
        match json::object(bytes)?.remove("tasks") {
            Some(Value::Object(tasks)) => in_order(bytes, tasks),
            Some(_) => Err(Problem::new("wrong_type", "tasks", "it isn't an object of ids and tasks")),
            None => Err(Problem::new("missing_field", "tasks", "it is missing, expected an object")),
        }
    }
}

/// The tasks as they stand in the document.
fn in_order(bytes: &[u8], mut tasks: Map<String, Value>) -> Result<Vec<(String, Value)>, Problem> {
    let order: Order = serde_json::from_slice(bytes)
        .map_err(|error| Problem::new("bad_value", "tasks", error.to_string()))?;
    // No key stands there twice, or it would have been refused.
    let tasks = order.tasks.0.into_iter().filter_map(|id| Some((tasks.remove(&id)?, id)));
    Ok(tasks.map(|(body, id)| (id, body)).collect())
}

impl Serialize for Submission {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut file = out.serialize_struct("Submission", 3)?;
        file.serialize_field("schema", WORKER_SCHEMA)?;
        file.serialize_field("token", &self.token)?;
        file.serialize_field("tasks", &Ordered(&self.tasks))?;
        file.end()
    }
}

struct Ordered<'a>(&'a [(String, Value)]);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.0.len()))?;
        for (id, body) in self.0 {
            map.serialize_entry(id, body)?;
        }
        map.end()
    }
}

/// The document as its table has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SubmissionFile {
    schema: String,
    token: u64,
    tasks: Map<String, Value>,
}

impl Wire for SubmissionFile {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[Field::must("token", U64), Field::must("tasks", Object)];
}

/// A map of values sorts its keys, so their order is read by itself.
#[derive(Deserialize)]
struct Order {
    tasks: Ids,
}

struct Ids(Vec<String>);

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Ids(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Ids {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Self, A::Error> {
        while let Some((id, IgnoredAny)) = entries.next_entry()? {
            self.0.push(id);
        }
        Ok(self)
    }
}

/// The supervisor's `submit-<n>.result.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmissionAnswer {
    /// [`WORKER_SCHEMA`].
    pub schema: String,
    /// The token that the submission was made under.
    pub token: u64,
    /// Which submission.
    pub n: u32,
    /// All of its tasks are planned; else none is.
    pub accepted: bool,
    /// The ids of the planned tasks, in the order of the submission.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// The place of the first wrong task, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Wire for SubmissionAnswer {
    const SCHEMA: &'static str = WORKER_SCHEMA;
    const FIELDS: &'static [Field] = &[
        Field::must("token", U64),
        Field::must("n", Positive),
        Field::must("accepted", Bool),
        Field::may("tasks", Texts),
        Field::may("index", U32),
        Field::may("reason", Text),
    ];
}

/// The number in the name of a submission, if it is one.
#[must_use]
pub fn submission_number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix("submit-")?.strip_suffix(".json")?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|n| plain && (1..=MAX_SUBMISSIONS).contains(n))
}

#[cfg(test)]
mod tests {
    use super::super::{problems_of, submit_name, submit_result_name};
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_order_of_the_tasks_is_kept_and_written_again() {
        let text = r#"{"schema":"ilchul.worker/1","token":7,"tasks":{"z":{"run":"true"},"a":{"needs":["z"],"run":"x"}}}"#;
        let submission = Submission::parse(text.as_bytes()).unwrap();
        assert_eq!(submission.token, 7);
        assert_eq!(submission.tasks.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(serde_json::to_string(&submission).unwrap(), text);
    }

    #[test]
    fn what_is_no_submission_is_a_problem_and_no_panic() {
        for (text, code) in [
            ("", "not_json"),
            ("[]", "not_object"),
            (r#"{"schema":"ilchul.worker/1","token":1}"#, "missing_field"),
            (r#"{"schema":"ilchul.worker/1","token":-1,"tasks":{}}"#, "bad_value"),
            (r#"{"schema":"ilchul.worker/1","token":1,"tasks":[]}"#, "wrong_type"),
            (r#"{"schema":"ilchul.worker/2","token":1,"tasks":{}}"#, "wrong_schema"),
            (r#"{"schema":"ilchul.worker/1","token":1,"tasks":{"a":1,"a":2}}"#, "duplicate_key"),
        ] {
            assert_eq!(Submission::parse(text.as_bytes()).unwrap_err().code, code, "{text}");
        }
        let deep = format!(
            r#"{{"schema":"ilchul.worker/1","token":1,"tasks":{{"a":{}{}}}}}"#,
            "[".repeat(80),
            "]".repeat(80)
        );
        assert_eq!(Submission::parse(deep.as_bytes()).unwrap_err().code, "too_deep");
        let long = vec![b' '; super::super::MAX_BYTES + 1];
        assert_eq!(Submission::parse(&long).unwrap_err().code, "too_large");
    }

    #[test]
    fn a_number_is_read_only_from_the_very_name_that_it_makes() {
        for n in [1, 9, 10, MAX_SUBMISSIONS] {
            assert_eq!(submission_number(&submit_name(n)), Some(n));
            assert_eq!(submission_number(&submit_result_name(n)), None);
        }
        for name in ["submit-0.json", "submit-01.json", "submit-+1.json", "submit-1001.json", "submit-.json"]
        {
            assert_eq!(submission_number(name), None, "{name}");
        }
    }

    #[test]
    fn every_fixture_of_a_submission_is_what_its_folder_says() {
        for (folder, valid) in [("valid", true), ("invalid", false)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/submissions").join(folder);
            let mut seen = 0;
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                assert_eq!(Submission::parse(&bytes).is_ok(), valid, "{}", path.display());
                seen += 1;
            }
            assert!(seen >= 2);
        }
    }

    #[test]
    fn an_answer_reads_back_as_it_was_written() {
        let accepted = SubmissionAnswer {
            schema: WORKER_SCHEMA.to_owned(),
            token: 1,
            n: 2,
            accepted: true,
            tasks: vec!["a".to_owned()],
            index: None,
            reason: None,
        };
        let refused = SubmissionAnswer {
            accepted: false,
            tasks: Vec::new(),
            index: Some(3),
            reason: Some("no".to_owned()),
            ..accepted.clone()
        };
        for answer in [accepted, refused] {
            let bytes = serde_json::to_vec(&answer).unwrap();
            assert_eq!(problems_of::<SubmissionAnswer>(&bytes), []);
            assert_eq!(parse::<SubmissionAnswer>(&bytes), Ok(answer));
        }
    }
}
