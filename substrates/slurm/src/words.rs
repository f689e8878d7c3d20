//! Slurm's words for the state of a job, each mapped by hand.
//!
//! A word that isn't on the list is unknown, never a failure: newer versions have
//! more of them. It leaves out what follows for a session; that is `look.rs`.

/// What a word of Slurm's says of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It waits for its turn.
    Pending,
    /// It has nodes, and its script is about to start, runs, or is being ended.
    Active,
    /// Over, as far as the controller knows.
    Over,
    /// A word of another version.
    Strange,
}

const LIST: &[(&str, Word)] = &[
    ("PENDING", Word::Pending),
    ("REQUEUED", Word::Pending),
    ("REQUEUE_FED", Word::Pending),
    ("REQUEUE_HOLD", Word::Pending),
    ("SPECIAL_EXIT", Word::Pending),
    ("RESV_DEL_HOLD", Word::Pending),
    // From 25.11 on: put back into the queue, at its front.
    ("EXPEDITING", Word::Pending),
    ("CONFIGURING", Word::Active),
    ("RUNNING", Word::Active),
    ("SUSPENDED", Word::Active),
    ("STOPPED", Word::Active),
    ("RESIZING", Word::Active),
    ("SIGNALING", Word::Active),
    ("STAGE_OUT", Word::Active),
    ("COMPLETING", Word::Active),
    ("COMPLETED", Word::Over),
    ("FAILED", Word::Over),
    ("CANCELLED", Word::Over),
    ("TIMEOUT", Word::Over),
    ("OUT_OF_MEMORY", Word::Over),
    ("NODE_FAIL", Word::Over),
    ("BOOT_FAIL", Word::Over),
    ("LAUNCH_FAILED", Word::Over),
    ("DEADLINE", Word::Over),
    ("PREEMPTED", Word::Over),
    // Another cluster of its federation has it, which isn't asked.
    ("REVOKED", Word::Strange),
];

/// What `word` says; `CANCELLED by 1000` is sacct's way of saying who.
pub(crate) fn read(word: &str) -> Word {
    let word = word.split([' ', '+']).next().unwrap_or_default();
    LIST.iter().find(|(known, _)| *known == word).map_or(Word::Strange, |(_, said)| *said)
}

/// Reasons for which a pending job waits for ever, unless somebody changes job or cluster. One
/// that an administrator holds isn't among them: whoever holds it means to let it go. Nor is a
/// limit of what all jobs of a user or an account have together.
const HOPELESS: &str = "
    PartitionConfig PartitionTimeLimit PartitionNodeLimit BadConstraints DependencyNeverSatisfied
    AccountNotAllowed QOSNotAllowed InvalidAccount InvalidQOS ReservationDeleted ReservationInvalid
    MaxMemPerLimit QOSTimeLimit

    AssocMaxWallDurationPerJobLimit AssocMaxCpuPerJobLimit AssocMaxCpuMinutesPerJobLimit
    AssocMaxNodePerJobLimit AssocMaxCpuPerNode AssocMaxMemPerJob AssocMaxMemPerNode
    AssocMaxMemMinutesPerJob AssocMaxNodeMinutesPerJob AssocMaxGRESPerJob AssocMaxGRESPerNode
    AssocMaxGRESMinutesPerJob AssocMaxLicensePerJob AssocMaxBillingPerJob AssocMaxBillingPerNode
    AssocMaxBillingMinutesPerJob AssocMaxUnknownPerJob AssocMaxUnknownPerNode

    QOSMaxWallDurationPerJobLimit QOSMaxCpuPerJobLimit QOSMaxCpuMinutesPerJobLimit
    QOSMaxNodePerJobLimit QOSMaxCpuPerNode QOSMaxMemoryPerJob QOSMaxMemoryPerNode
    QOSMaxMemoryMinutesPerJob QOSMaxNodeMinutesPerJob QOSMaxGRESPerJob QOSMaxGRESPerNode
    QOSMaxGRESMinutesPerJob QOSMaxLicensePerJob QOSMaxBillingPerJob QOSMaxBillingPerNode
    QOSMaxBillingMinutesPerJob QOSMaxUnknownPerJob QOSMaxUnknownPerNode

    QOSMinCpuNotSatisfied QOSMinMemory QOSMinNode QOSMinGRES QOSMinLicense QOSMinBilling QOSMinUnknown
";

/// Whether a job that is pending for `reason` will never run as things are.
pub(crate) fn is_hopeless(reason: &str) -> bool {
    HOPELESS.split_whitespace().any(|known| known == reason)
}

/// The hopeless reason that the refusal of a submit names, if it names one. A limit that only
/// holds others back while jobs wait is for good where a submit is denied for it: sites deny what
/// alone is beyond it. How many may be submitted is the exception.
pub(crate) fn hopeless_in(text: &str) -> Option<&str> {
    let of_account = |word: &str| ["QOS", "Assoc"].iter().any(|whose| word.starts_with(whose));
    let denied = |word: &str| of_account(word) && word.ends_with("Limit") && !word.contains("Submit");
    let mut said = text.split(|c: char| !c.is_ascii_alphanumeric());
    said.find(|word| is_hopeless(word) || denied(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_manual_is_on_the_list_and_another_one_is_strange() {
        let manual = "BOOT_FAIL CANCELLED COMPLETED CONFIGURING COMPLETING DEADLINE FAILED NODE_FAIL \
            OUT_OF_MEMORY PENDING PREEMPTED RUNNING RESV_DEL_HOLD REQUEUE_FED REQUEUE_HOLD REQUEUED RESIZING \
            REVOKED SIGNALING SPECIAL_EXIT STAGE_OUT STOPPED SUSPENDED TIMEOUT LAUNCH_FAILED EXPEDITING";
        for word in manual.split_whitespace() {
            assert!(LIST.iter().any(|(known, _)| *known == word), "{word}");
        }
        for word in ["", "running", "UNINITIALISED", "RUNNINGS", "UNKNOWN", "REVOKED"] {
            assert_eq!(read(word), Word::Strange, "{word}");
        }
    }

    #[test]
    fn who_cancelled_it_doesnt_matter() {
        assert_eq!(read("CANCELLED by 1000"), Word::Over);
        assert_eq!(read("CANCELLED+"), Word::Over);
    }

    #[test]
    fn waiting_for_others_is_hope() {
        let hope = "Priority Resources None BeginTime JobHeldUser JobHeldAdmin QOSMaxJobsPerUserLimit \
            QOSMaxGRESPerUser QOSGrpGRES MaxGRESPerAccount AssocGrpMemLimit Licenses MaxPoweredUpNodes";
        for reason in hope.split_whitespace() {
            assert!(!is_hopeless(reason), "{reason}");
        }
        for reason in
            ["PartitionTimeLimit", "QOSMaxGRESPerJob", "AssocMaxMemPerNode", "QOSMinCpuNotSatisfied"]
        {
            assert!(is_hopeless(reason), "{reason}");
            assert_eq!(
                hopeless_in(&format!("sbatch: error: {reason}\nsbatch: error: Batch job")),
                Some(reason)
            );
        }
    }
}
