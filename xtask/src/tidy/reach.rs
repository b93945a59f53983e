//! Public items that nothing outside their package names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{
    items::{FileItems, NamedItem, PublicItem},
    measures::package_of,
    source::SourceFile,
};
use crate::workspace;

/// The folders in which packages are used: those of the workspace, and the pages beside them.
const USERS: &[&str] = &[
    "bench",
    "cli",
    "config",
    "core",
    "demo",
    "docs",
    "gateway",
    "guest",
    "host",
    "policies",
    "store",
    "tests",
    "xtask",
    "README.md",
];

/// The mark of a module with items for users outside this repository.
const EXTENSION_POINT: &str = "extension point";

/// Returns the public items of `files` with names that are used nowhere outside their package.
pub(crate) fn unreached_items(
    folder: &str,
    files: &[SourceFile<'_>],
) -> Result<Vec<(PathBuf, NamedItem)>> {
    let packages: BTreeSet<_> = files.iter().map(|file| package_of(&file.path)).collect();
    let mut unreached = Vec::new();
    for package in packages {
        // A program has no users in Rust.
        if !workspace::root().join(&package).join("src/lib.rs").exists() || folder == "xtask" {
            continue;
        }
        let public: Vec<_> = files
            .iter()
            .filter(|file| package_of(&file.path) == package)
            .flat_map(|file| {
                let items = FileItems::collect(file).public.into_iter();
                let is_exempt = is_extension_point(file);
                items.map(move |item| (file.path.clone(), is_exempt, item))
            })
            .collect();
        let mut reached = names_outside(&package)?;
        reach_types_of_reached(public.iter().map(|(_, _, item)| item), &mut reached);
        let missed = public
            .into_iter()
            .filter(|(_, is_exempt, public)| !is_exempt && !reached.contains(&public.item.name));
        unreached.extend(missed.map(|(path, _, public)| (path, public.item)));
    }
    Ok(unreached)
}

/// Adds the types that the signatures of reached items mention: their users have to do with them.
fn reach_types_of_reached<'a>(
    public: impl Iterator<Item = &'a PublicItem> + Clone,
    reached: &mut BTreeSet<String>,
) {
    loop {
        let before = reached.len();
        for item in public.clone() {
            if reached.contains(&item.item.name) {
                reached.extend(item.types.iter().cloned());
            }
        }
        if reached.len() == before {
            return;
        }
    }
}

fn is_extension_point(file: &SourceFile<'_>) -> bool {
    let module_docs = file.comments.iter().filter(|comment| !comment.is_item_doc);
    module_docs
        .into_iter()
        .any(|comment| comment.text.to_lowercase().contains(EXTENSION_POINT))
}

/// All words of sources and pages outside the sources of `package`; its own tests, examples and pages are outside.
fn names_outside(package: &Path) -> Result<BTreeSet<String>> {
    let own = workspace::root().join(package).join("src");
    let mut names = BTreeSet::new();
    let mut places: Vec<PathBuf> = USERS
        .iter()
        .map(|user| workspace::root().join(user))
        .filter(|user| user.exists())
        .collect();
    while let Some(place) = places.pop() {
        if place == own || place.ends_with("target") {
            continue;
        }
        if place.is_dir() {
            let entries = fs::read_dir(&place);
            for entry in entries.with_context(|| format!("cannot list `{}`", place.display()))? {
                places.push(entry?.path());
            }
        } else if place
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "md")
        {
            let text = fs::read_to_string(&place)
                .with_context(|| format!("cannot read `{}`", place.display()))?;
            names.extend(identifiers(&text));
        }
    }
    Ok(names)
}

fn identifiers(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
}
