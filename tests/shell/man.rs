//! The pages, as `man` shows them.

use super::world::{World, ran};

#[test]
fn every_page_is_one_that_man_shows_without_a_complaint() {
    let world = World::new();
    let pages = world.root().join("pages");
    let said = world.ok(&["man", pages.to_str().unwrap()]);
    assert!(said.starts_with("Wrote ") && said.contains("man -l "), "{said}");
    let mut seen = 0;
    for page in std::fs::read_dir(&pages).unwrap() {
        let page = page.unwrap().path();
        let mut man = world.sealed("man");
        // `MANROFFOPT` brings the formatter's own complaints to light.
        man.arg("-l").arg(&page).env("MANWIDTH", "80").env("MANPAGER", "cat").env("MANROFFOPT", "-ww");
        let shown = ran(&man.output().unwrap()).exits(0);
        let name = page.file_stem().unwrap().to_str().unwrap();
        let title = format!("{name}(1)");
        assert!(shown.stdout.to_lowercase().contains(&title), "{title}: {}", shown.stdout);
        assert!(shown.stdout.contains("EXIT STATUS"), "{title}");
        assert_eq!(shown.stderr, "", "{title}");
        assert!(shown.stdout.lines().all(|line| line.chars().count() <= 100), "{title}: {}", shown.stdout);
        seen += 1;
    }
    assert!(seen > 25, "{seen} pages");
    world.run(&["man", "/dev/null/pages"]).exits(1);
}
