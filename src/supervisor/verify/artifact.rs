//! `artifact`: a new regular file inside the tree, hashed and kept (law E4).
//!
//! Hash, size and copy come from the one descriptor that `file.rs` opened.

use super::{Case, file, refuted, unverifiable, verified};
use crate::engine::evidence::Checked;
use crate::journal::blobs;

const KIND: &str = "artifact";
/// The largest artifact that is kept.
pub(in crate::supervisor) const CAP: u64 = 256 << 20;

pub(super) fn check(case: &Case, path: &str) -> Checked {
    judge(case, path).unwrap_or_else(|verdict| verdict).fact("path", path)
}

fn judge(case: &Case, path: &str) -> Result<Checked, Checked> {
    let mut file = file::open_new(case, KIND, path, CAP)?;
    let blob = blobs::keep(&case.home, &mut file, CAP)
        .map_err(|error| unverifiable(KIND, format!("keep `{path}`: {error}")))?;
    let checked = match file::other_than_claimed(case, KIND, path, &blob) {
        Some(why) => refuted(KIND, why),
        None => verified(KIND, format!("`{path}`, {} bytes", blob.bytes)),
    };
    Ok(checked.fact("sha256", blob.sha256).fact("bytes", blob.bytes))
}
