//! Paths that look like secrets, by their names alone.
//!
//! A short list that people know, so that a refusal surprises nobody. No content is looked
//! at: a key in a file of another name isn't found here, and nothing claims that it is.

/// Whole names.
const NAMES: &[&str] = &[
    ".env",
    ".htpasswd",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
    "credentials",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "id_rsa",
];
/// Beginnings of names, each up to and with its separator.
const BEGINNINGS: &[&str] = &[".env.", "credentials."];
/// Ends of names.
const ENDS: &[&str] = &[".jks", ".key", ".keystore", ".p12", ".pem", ".pfx"];
/// Ends that say that something only shows the form, or is meant to be given away.
const HARMLESS: &[&str] = &[".dist", ".example", ".pub", ".sample", ".template"];

/// Whether the last part of a path is a name that secrets go by.
pub(super) fn is_secret(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let starts = |start: &&str| name.starts_with(*start);
    let ends = |end: &&str| name.len() > end.len() && name.ends_with(*end);
    !HARMLESS.iter().any(&ends)
        && (NAMES.contains(&name.as_str()) || BEGINNINGS.iter().any(starts) || ENDS.iter().any(&ends))
}

#[cfg(test)]
mod tests {
    use super::is_secret;

    #[test]
    fn names_that_secrets_go_by_are_known_in_any_folder_and_case() {
        for path in [
            ".env",
            "a/.env",
            ".env.local",
            ".env.production",
            ".ENV",
            "id_rsa",
            "keys/id_ed25519",
            "x.pem",
            "Server.KEY",
            "x.p12",
            "x.pfx",
            "x.jks",
            ".npmrc",
            ".netrc",
            "aws/credentials",
            "credentials.json",
        ] {
            assert!(is_secret(path), "{path}");
        }
    }

    #[test]
    fn samples_public_halves_and_names_that_only_look_like_it_are_none() {
        for path in [
            ".env.example",
            ".env.sample",
            ".env.template",
            "id_rsa.pub",
            "x.pem.pub",
            ".environment",
            "keyboard.rs",
            "src/key.rs",
            "monkey",
            ".key",
            "pem",
            "credentials-provider.ts",
            ".env/README",
            "my_id_rsa.txt",
            "",
        ] {
            assert!(!is_secret(path), "{path}");
        }
    }
}
