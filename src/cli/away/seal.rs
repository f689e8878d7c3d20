//! Git on the other machine, for scripts: in the folder that was entered and no other one, and
//! without running anything that its repository defines.
//!
//! Its settings are shared with every worker's tree, so any task may have written them. It
//! leaves out git on this machine, and what scripts ask of it.

/// Stands in front of a script: `g` is git, and `sealed` has to be called in the folder before
/// git looks at files.
///
/// The environment there names no other repository. A filter is a command line: those of the
/// repository itself are switched off, those of the user's own settings are the user's wish. They
/// go into a file, because a filter's name may hold what `-c` takes for the end of a name. Git LFS
/// would look for a server that nobody named.
pub(super) const SEAL: &str = r#"
unset GIT_DIR $(env | sed -n 's/^\(GIT_[A-Za-z0-9_]*\)=.*/\1/p' | grep -vx -e GIT_CONFIG_GLOBAL -e GIT_CONFIG_SYSTEM -e GIT_CONFIG_NOSYSTEM -e GIT_EXEC_PATH)
export LC_ALL=C GIT_LFS_SKIP_SMUDGE=1 GIT_TERMINAL_PROMPT=0 GIT_NO_LAZY_FETCH=1 GIT_ALLOW_PROTOCOL=none
o=
g() {
  git ${o:+-c "include.path=$o"} -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.alternateRefsCommand=true \
    -c submodule.recurse=false -c merge.verifySignatures=false -c gc.auto=0 -c maintenance.auto=false -c advice.detachedHead=false "$@"
}
sealed() {
  GIT_CEILING_DIRECTORIES=$(dirname -- "$(pwd -P)"); export GIT_CEILING_DIRECTORIES
  all=$(g config --show-scope --name-only --get-regexp '^filter\.' 2> /dev/null)
  [ $? -le 1 ] || return 1
  all=$(printf '%s\n' "$all" | grep -v -e '^global' -e '^system' | cut -f 2-)
  [ -n "$all" ] || return 0
  o=$(mktemp) || return 1
  trap 'unlink "$o"' EXIT
  printf '%s\n' "$all" | while IFS= read -r name; do
    for key in clean smudge process; do git config --file "$o" "${name%.*}.$key" '' || exit 1; done
    git config --file "$o" "${name%.*}.required" false || exit 1
  done
}
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What a sealed script in `folder` prints.
    fn said(folder: &std::path::Path, script: &str, env: &[(&str, &str)]) -> String {
        let mut sh = Command::new("sh");
        sh.arg("-c").arg(format!("{SEAL}sealed || echo unsealed\n{script}")).current_dir(folder);
        sh.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        let out = sh.envs(env.iter().copied()).output().unwrap();
        assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn repository(folder: &std::path::Path) {
        std::fs::create_dir_all(folder).unwrap();
        said(folder, "git init -q --template= .", &[]);
    }

    #[test]
    fn s1_filters_of_the_repository_are_off_whatever_they_are_called() {
        let top = tempfile::tempdir().unwrap();
        repository(top.path());
        let odd = ["plain", "a=b", "it's \"x\" y", "a.b.c", "-x", "é $(echo no)"];
        for name in odd {
            let key = format!("filter.{name}.smudge");
            let set = Command::new("git").args(["config", &key, "evil"]).current_dir(top.path()).status();
            assert!(set.unwrap().success());
            let script = "g config --get-regexp '^filter[.].*(smudge|required)$' | tail -n 2";
            let seen = said(top.path(), script, &[]);
            assert_eq!(seen, format!("filter.{name}.smudge \nfilter.{name}.required false\n"));
        }
        let count =
            said(top.path(), "g config --get-regexp '[.]smudge$' | grep -c -v evil; cat \"$o\" | wc -l", &[]);
        assert_eq!(count, format!("{}\n{}\n", odd.len(), odd.len() * 5));
        let path = said(top.path(), "echo $o", &[]);
        assert!(!std::path::Path::new(path.trim()).exists(), "nothing is left");
    }

    #[test]
    fn s3_git_settings_of_the_environment_lead_into_no_other_repository() {
        let top = tempfile::tempdir().unwrap();
        let (victim, ours) = (top.path().join("victim"), top.path().join("victim/ours"));
        repository(&victim);
        let path = victim.join(".git").display().to_string();
        let env = [("GIT_DIR", path.as_str()), ("GIT_CONFIG_COUNT", "x")];
        repository(&ours);
        assert_eq!(
            said(&ours, "cd \"$(g rev-parse --show-toplevel)\" && pwd -P", &env).trim(),
            ours.to_str().unwrap()
        );
        std::fs::remove_dir_all(ours.join(".git")).unwrap();
        assert_eq!(said(&ours, "g rev-parse --show-toplevel 2> /dev/null", &env), "", "nor into one above");
    }
}
