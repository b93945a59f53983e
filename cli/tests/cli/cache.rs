//! A policy is compiled by a child of `semel`, and once for all runs of a user.

use crate::workshop::{CHARGE, CommandOutput, Workshop};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

/// The log line of a policy that was not found in the cache.
const COMPILING: &str = "compiling a policy";

/// `semel` with the cache that a user has, and a log of all that it does.
fn users(shop: &Workshop, words: &[&str]) -> Command {
    let mut command = shop.semel(words);
    command
        .env_remove("SEMEL_CACHE")
        .env("SEMEL_LOG", "semel=debug");
    command
}

fn charge(shop: &Workshop, order: usize) -> CommandOutput {
    let args = format!("{{\"order\": {order}, \"amount\": 1}}");
    let done = CommandOutput::from(
        users(
            shop,
            &["exec", "--tool", "charge", "--args", &args, "--", "true"],
        )
        .output()
        .unwrap(),
    );
    assert_eq!(done.exit, 0, "{done:?}");
    done
}

fn folder(shop: &Workshop) -> PathBuf {
    shop.path(".cache/semel/code")
}

fn entry(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .into_iter()
        .find(|path| path.extension().is_some_and(|ending| ending == "code"))
        .unwrap()
}

#[test]
fn the_second_run_compiles_nothing_and_an_altered_file_is_compiled_again() {
    let shop = Workshop::new(CHARGE);
    charge(&shop, 1).assert_message(0, COMPILING);
    let second = charge(&shop, 2);
    assert!(!second.stderr.contains(COMPILING), "{second:?}");
    let entry = entry(&folder(&shop));
    let mut bytes = fs::read(&entry).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&entry, bytes).unwrap();
    charge(&shop, 3).assert_message(0, COMPILING);
    assert!(!charge(&shop, 4).stderr.contains(COMPILING));
}

#[test]
fn a_folder_that_others_may_write_to_is_told_of_and_costs_time_only() {
    let shop = Workshop::new(CHARGE);
    charge(&shop, 1);
    fs::set_permissions(folder(&shop), fs::Permissions::from_mode(0o770)).unwrap();
    let done = charge(&shop, 2);
    done.assert_message(0, COMPILING);
    done.assert_message(0, "compiled code is cached only in a folder of this user");
    let doctor = CommandOutput::from(users(&shop, &["doctor"]).output().unwrap());
    assert_eq!(doctor.exit, 0, "{doctor:?}");
    assert!(
        doctor.stdout.contains("cache       not used: "),
        "{doctor:?}"
    );
}

#[test]
fn a_cache_that_is_off_leaves_nothing_behind() {
    let shop = Workshop::new(&format!("[cache]\nenabled = false\n{CHARGE}"));
    charge(&shop, 1).assert_message(0, COMPILING);
    charge(&shop, 2).assert_message(0, COMPILING);
    assert!(!folder(&shop).exists());
}

#[test]
fn a_doctor_tells_what_is_kept() {
    let shop = Workshop::new(CHARGE);
    charge(&shop, 1);
    let doctor = CommandOutput::from(users(&shop, &["doctor"]).output().unwrap());
    assert!(
        doctor
            .stdout
            .contains("/.cache/semel/code: 2 compiled policies, "),
        "{doctor:?}"
    );
}

#[test]
fn who_starts_the_compiling_command_by_hand_is_told_nothing_and_harms_nothing() {
    let shop = Workshop::new("");
    let done = shop.run(&["compile-for-parent"]);
    assert_eq!((done.exit, done.stdout.as_str()), (1, ""), "{done:?}");
}
