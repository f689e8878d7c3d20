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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::engine::evidence::{ChildExit, Verdict};
    use crate::home::Home;

    /// The case of a plain folder's worker, dispatched just now.
    fn case(root: &Path) -> Case {
        let folder = |name: &str| {
            let folder = root.join(name);
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        let mail = folder("mail");
        fs::write(mail.join(crate::protocol::ASSIGNMENT), "{}").unwrap();
        Case {
            home: Home::at(folder("home")),
            items: Vec::new(),
            exit: ChildExit::Code(0),
            tree: folder("tree"),
            git: None,
            repository: None,
            mail,
            views: Vec::new(),
            reduces: None,
            log: root.join("log"),
            checks: folder("checks"),
            claims: Vec::new(),
            outputs: serde_json::Map::new(),
            env: BTreeMap::new(),
            grace: Duration::ZERO,
            around: Vec::new(),
            program: root.join("none"),
        }
    }

    /// Ends the swapping, also where an assertion fails.
    struct Done<'d>(&'d AtomicBool);

    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn s11_a_file_that_is_swapped_between_check_and_use_is_never_kept_as_another() {
        let dir = tempfile::tempdir().unwrap();
        let case = case(dir.path());
        let (file, secret) = (case.tree.join("out"), dir.path().join("secret"));
        fs::write(&secret, "never to be read").unwrap();
        let forms = ["short".to_owned(), "a longer one ".repeat(4_000)];
        fs::write(&file, &forms[0]).unwrap();
        let known = forms
            .each_ref()
            .map(|text| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let swap = case.tree.join("swap");
                for round in 0_usize.. {
                    match round % 3 {
                        2 => std::os::unix::fs::symlink(&secret, &swap).unwrap(),
                        form => fs::write(&swap, &forms[form]).unwrap(),
                    }
                    fs::rename(&swap, &file).unwrap();
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let _done = Done(&done);
            let mut seen = [0; 3];
            // Ten thousand times, and on until each of the three was met.
            for round in 0..1_000_000 {
                if round >= 10_000 && seen.iter().all(|count| *count > 0) {
                    break;
                }
                let checked = check(&case, "out");
                let fact = |name: &str| checked.facts.get(name).cloned();
                if checked.verdict != Verdict::Verified {
                    assert!(checked.reason.contains("leads through a link"), "{}", checked.reason);
                    seen[2] += 1;
                    continue;
                }
                let sha256 = fact("sha256").unwrap().as_str().unwrap().to_owned();
                let form = known.iter().position(|known| *known == sha256).expect("one of the two, whole");
                seen[form] += 1;
                assert_eq!(fact("bytes").unwrap(), forms[form].len());
                assert_eq!(fs::read_to_string(blobs::path(&case.home, &sha256)).unwrap(), forms[form]);
            }
            assert!(seen.iter().all(|count| *count > 0), "the swaps were never met: {seen:?}");
        });
    }
}
