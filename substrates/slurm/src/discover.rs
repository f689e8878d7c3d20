//! All sessions of a run that may be there: their folders, and jobs whose folder is gone.
//!
//! It leaves out how each one is.

use std::fs;

use ilchul_substrate::{Error, ErrorKind, Handle, Mark};

use crate::Slurm;
use crate::record::Record;
use crate::words::Word;

impl Slurm {
    pub(crate) fn listed(&self, run: &str) -> Result<Vec<(Mark, Handle)>, Error> {
        let failed = |error| Error::io("list", format!("`{}`", self.root.display()), error);
        let snapshot = self.queue.fresh();
        let snapshot = snapshot.map_err(|why| Error::new(ErrorKind::Unavailable, "list jobs", why))?;
        let prefix = format!("ilchul.{run}.");
        let mut found = Vec::new();
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(failed(error)),
        };
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str().filter(|name| name.starts_with(&prefix)) else { continue };
            let Ok(mark) = name.parse::<Mark>() else { continue };
            let Some(record) = Record::open(&self.root.join(name))? else { continue };
            let claim = record.claim()?;
            if record.end()?.is_some() || claim.as_ref().is_some_and(|claim| claim.job.is_none()) {
                continue;
            }
            let listed = || snapshot.find(name, &record.nonce, None).map(|job| job.id);
            // Half made and never taken by Slurm: there is nothing to find.
            let Some(id) = record.job()?.or_else(|| claim?.job).or_else(listed) else { continue };
            found.push((mark.clone(), Slurm::handle(&mark, &record, id)));
        }
        // Jobs whose folder somebody took away still run.
        for (name, job) in snapshot.below(&prefix).filter(|(_, job)| job.word != Word::Over) {
            let (Ok(mark), Some(nonce)) = (name.parse::<Mark>(), job.nonce.clone()) else { continue };
            if !self.root.join(name).exists() {
                let record = Record { folder: self.root.join(name), nonce };
                found.push((mark.clone(), Slurm::handle(&mark, &record, job.id)));
            }
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(found)
    }
}
