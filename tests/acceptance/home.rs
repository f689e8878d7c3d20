//! Which folders may be a home: any outside of the repository, however it is written.

use std::os::unix::fs::symlink;

use super::world::World;

const ONE: &str = "tasks: { a: { run: 'true' } }\n";

#[test]
fn a_home_may_be_named_by_a_way_up_and_is_the_same_from_anywhere() {
    let world = World::with(ONE);
    world.run(&["--home", "../my-home", "up", "--session", "subprocess"]).exits(0);
    let home = world.root().join("my-home");
    assert!(home.join("journal.db").exists());
    let named = world.ok(&["--home", home.to_str().unwrap(), "runs", "--json"]);
    assert_eq!(world.ok(&["--home", "src/../../my-home", "runs", "--json"]), named);
}

#[test]
fn a_home_inside_the_repository_is_refused_by_whatever_way_it_is_reached() {
    let world = World::with(ONE);
    symlink(world.repo(), world.root().join("aside")).unwrap();
    for inside in ["inside", "../repo/inside", "../aside/inside", ".git/x", "../nowhere/../repo"] {
        let (code, error) = world.refused(&["--home", inside, "up", "--session", "subprocess"]);
        assert_eq!((code, &error["code"]), (1, &"bad_home".into()), "{inside}: {error}");
    }
    assert_eq!(world.git(&["status", "--porcelain", "--ignored"]), "");
}
