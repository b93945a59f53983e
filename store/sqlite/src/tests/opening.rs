//! A file is used only if it is a ledger that keeps acknowledged writes. Any other file is unchanged.

use super::*;
use crate::header::SCHEMA;
use semel_conformance::{entry, fresh_version, key};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
    sync::Barrier,
};

fn open_error(path: impl AsRef<Path>) -> SqliteOpenError {
    match SqliteStore::open(path.as_ref()) {
        Err(error) => error,
        Ok(store) => panic!("it should not open: {store:?}"),
    }
}

/// The file does not open, for the expected reason; the message names it; its content is unchanged.
fn assert_refused(path: &Path, expected: impl Fn(&SqliteOpenError) -> bool) {
    let before = fs::read(path).unwrap();
    let error = open_error(path);
    assert!(expected(&error), "another reason was expected: {error}");
    assert!(
        error.to_string().contains(&*path.to_string_lossy()),
        "the file is not named: {error}"
    );
    assert!(
        fs::read(path).unwrap() == before,
        "the file is not as it was"
    );
}

async fn create(store: &SqliteStore, number: u32) -> Result<CreateResult, StoreError> {
    store
        .create(
            key(number),
            &entry(number),
            fresh_version(),
            Retention::UntilRemoved,
        )
        .await
}

#[test]
fn a_new_ledger_is_for_its_owner_only() {
    let folder = folder();
    let _store = SqliteStore::open(ledger_in(&folder)).unwrap();
    for file in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let mode = fs::metadata(folder.path().join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_ledger_is_there_after_it_was_closed() {
    let folder = folder();
    let store = SqliteStore::open(ledger_in(&folder)).unwrap();
    create(&store, 1).await.unwrap();
    let (first, before) = store.get(key(1)).await.unwrap();
    drop(store);
    let store = SqliteStore::open(ledger_in(&folder)).unwrap();
    let (again, after) = store.get(key(1)).await.unwrap();
    assert_eq!(again.unwrap(), first.unwrap());
    assert_eq!(
        (after.incarnation, after.boot),
        (before.incarnation, before.boot)
    );
}

#[tokio::test]
async fn an_empty_file_becomes_a_ledger() {
    let folder = folder();
    fs::write(ledger_in(&folder), []).unwrap();
    let store = SqliteStore::open(ledger_in(&folder)).unwrap();
    assert!(matches!(
        create(&store, 1).await,
        Ok(CreateResult::Created(_))
    ));
}

#[tokio::test]
async fn two_names_of_a_file_are_one_ledger() {
    let folder = folder();
    symlink(ledger_in(&folder), folder.path().join("other")).unwrap();
    let store = SqliteStore::open(ledger_in(&folder)).unwrap();
    let other = SqliteStore::open(folder.path().join("other")).unwrap();
    create(&store, 1).await.unwrap();
    assert!(matches!(
        create(&other, 1).await,
        Ok(CreateResult::Exists(..))
    ));
}

#[tokio::test]
async fn an_opener_waits_for_its_turn_to_recover_the_wal() {
    let left = folder();
    let folder = folder();
    let store = SqliteStore::open(ledger_in(&folder)).unwrap();
    create(&store, 1).await.unwrap();
    for file in ["ledger.db", "ledger.db-wal"] {
        fs::copy(folder.path().join(file), left.path().join(file)).unwrap();
    }
    let turn = fs::File::open(left.path().join("ledger.db-wal")).unwrap();
    turn.lock().unwrap();
    let ledger = ledger_in(&left);
    let opening = std::thread::spawn(move || SqliteStore::open(ledger).unwrap());
    std::thread::sleep(Duration::from_millis(50));
    assert!(!opening.is_finished());
    drop(turn);
    let heir = opening.join().unwrap();
    assert!(matches!(
        create(&heir, 1).await,
        Ok(CreateResult::Exists(..))
    ));
}

#[test]
fn a_name_that_looks_like_a_uri_is_a_name() {
    let folder = folder();
    for name in ["file:ledger?mode=memory", ":memory:", "ünï ' \" ; --"] {
        let _store = SqliteStore::open(folder.path().join(name)).unwrap();
        assert!(folder.path().join(name).is_file(), "{name}");
    }
}

#[test]
fn what_cannot_be_a_file_is_refused() {
    let folder = folder();
    assert!(matches!(
        open_error(folder.path().join("none/ledger.db")),
        SqliteOpenError::FolderMissing(_)
    ));
    assert!(matches!(
        open_error(folder.path()),
        SqliteOpenError::NotAFile(_)
    ));
    assert!(matches!(open_error("/"), SqliteOpenError::NotAFile(_)));
    assert!(matches!(
        open_error("/dev/null"),
        SqliteOpenError::NotAFile(_)
    ));
    assert!(matches!(open_error(""), SqliteOpenError::Other { .. }));
    assert!(matches!(
        open_error(folder.path().join("nul\0")),
        SqliteOpenError::Other { .. }
    ));
    fs::write(folder.path().join("file"), []).unwrap();
    assert!(matches!(
        open_error(folder.path().join("file/ledger.db")),
        SqliteOpenError::FolderMissing(_)
    ));
    symlink(
        folder.path().join("nowhere/ledger.db"),
        folder.path().join("dangling"),
    )
    .unwrap();
    assert!(matches!(
        open_error(folder.path().join("dangling")),
        SqliteOpenError::Other { .. }
    ));
}

#[test]
fn what_is_no_database_is_left_as_it_is() {
    let folder = folder();
    for content in [
        &b"a diary"[..],
        &[0; 1],
        &[0xA5; 70_000],
        &b"SQLite format 3\0"[..],
    ] {
        fs::write(ledger_in(&folder), content).unwrap();
        assert_refused(&ledger_in(&folder), |error| {
            matches!(error, SqliteOpenError::NotADatabase(_))
        });
    }
}

#[test]
fn the_database_of_another_program_is_left_as_it_is() {
    for setting in [
        "",
        "PRAGMA journal_mode = WAL;",
        "PRAGMA application_id = 7;",
        "PRAGMA user_version = 1;",
    ] {
        let folder = folder();
        raw(&ledger_in(&folder))
            .execute_batch(&format!("{setting} CREATE TABLE diary (line TEXT);"))
            .unwrap();
        assert_refused(&ledger_in(&folder), |error| {
            matches!(error, SqliteOpenError::Foreign(_))
        });
    }
    let folder = folder();
    raw(&ledger_in(&folder))
        .execute_batch("PRAGMA application_id = 7")
        .unwrap();
    assert_refused(&ledger_in(&folder), |error| {
        matches!(error, SqliteOpenError::Foreign(_))
    });
}

#[test]
fn the_ledger_of_another_release_is_left_as_it_is() {
    let folder = folder();
    drop(SqliteStore::open(ledger_in(&folder)).unwrap());
    let set_schema = |schema: i64| {
        raw(&ledger_in(&folder))
            .execute_batch(&format!("PRAGMA user_version = {schema}"))
            .unwrap();
    };
    set_schema(SCHEMA + 1);
    assert_refused(
        &ledger_in(&folder),
        |error| matches!(error, SqliteOpenError::Newer { found, known: SCHEMA, .. } if *found == SCHEMA + 1),
    );
    set_schema(1);
    assert_refused(&ledger_in(&folder), |error| {
        matches!(
            error,
            SqliteOpenError::Older {
                found: 1,
                known: SCHEMA,
                ..
            }
        )
    });
}

#[tokio::test]
async fn damage_is_reported_and_nothing_is_written() {
    let folder = folder();
    let store = SqliteStore::open(ledger_in(&folder)).unwrap();
    for number in 0..50 {
        create(&store, number).await.unwrap();
    }
    drop(store);
    let whole = fs::read(ledger_in(&folder)).unwrap();
    for (from, to) in [(100, 4_096), (4_096, whole.len())] {
        let mut damaged = whole.clone();
        damaged[from..to].fill(0xA5);
        fs::write(ledger_in(&folder), &damaged).unwrap();
        let words = match SqliteStore::open(ledger_in(&folder)) {
            Err(error) => error.to_string(),
            Ok(store) => match create(&store, 7).await {
                Err(StoreError::NotExecuted(error)) => error.to_string(),
                other => panic!("it is damaged: {other:?}"),
            },
        };
        assert!(
            words.contains("damaged") && words.contains("backup"),
            "{words}"
        );
    }
}

#[tokio::test]
async fn one_damaged_entry_harms_no_other() {
    let folder = folder();
    let store = SqliteStore::open(ledger_in(&folder)).unwrap();
    for number in 0..2 {
        create(&store, number).await.unwrap();
    }
    for damage in ["entry = x'7B'", "entry = x''", "version = x'00'"] {
        raw(&ledger_in(&folder))
            .execute(
                &format!("UPDATE entry SET {damage} WHERE key = ?"),
                [key(0).as_bytes()],
            )
            .unwrap();
        assert!(
            matches!(store.get(key(0)).await, Err(StoreError::Entry(_))),
            "{damage}"
        );
        let (damaged, whole) = tokio::join!(create(&store, 0), create(&store, 1));
        assert!(matches!(damaged, Err(StoreError::Entry(_))), "{damaged:?}");
        assert!(matches!(whole, Ok(CreateResult::Exists(..))), "{whole:?}");
    }
}

#[test]
fn every_connection_syncs_each_commit() {
    let folder = folder();
    drop(SqliteStore::open(ledger_in(&folder)).unwrap());
    let file = file::LedgerFile::create_if_missing(&ledger_in(&folder)).unwrap();
    for connection in [
        connection::open_writer(&file).unwrap(),
        connection::open_reader(&file).unwrap(),
    ] {
        let read = |pragma| {
            connection
                .pragma_query_value(None, pragma, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        assert_eq!(read("journal_mode").unwrap(), "wal".to_owned().into());
        assert_eq!(read("synchronous").unwrap(), 2.into());
    }
    assert!(
        connection::open_reader(&file)
            .unwrap()
            .execute("DELETE FROM entry", [])
            .is_err(),
        "readers only read"
    );
}

#[test]
fn a_journal_that_is_no_wal_is_refused() {
    let folder = folder();
    drop(SqliteStore::open(ledger_in(&folder)).unwrap());
    let file = file::LedgerFile::create_if_missing(&ledger_in(&folder)).unwrap();
    raw(&ledger_in(&folder))
        .pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .unwrap();
    assert!(matches!(
        connection::open_writer(&file),
        Err(SqliteOpenError::Setting {
            setting: "journal_mode",
            ..
        })
    ));
}

#[test]
fn file_systems_of_other_machines_are_known() {
    const EXT4: u32 = 0xEF53;
    assert_eq!(file::network_file_system_name(0x6969), Some("NFS"));
    assert_eq!(file::network_file_system_name(EXT4), None);
}

#[test]
fn many_may_open_a_new_ledger_at_once() {
    for _ in 0..20 {
        let folder = folder();
        let start = Arc::new(Barrier::new(8));
        let openers: Vec<_> = (0..8)
            .map(|_| {
                let path = ledger_in(&folder);
                let start = Arc::clone(&start);
                std::thread::spawn(move || {
                    start.wait();
                    SqliteStore::open(path).unwrap()
                })
            })
            .collect();
        let stores: Vec<_> = openers
            .into_iter()
            .map(|opener| opener.join().unwrap())
            .collect();
        assert_eq!(
            raw(&ledger_in(&folder)).query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)),
            Ok(1)
        );
        drop(stores);
    }
}

/// Runs a test of this module in a process of the user `nobody`.
fn run_as_nobody(test: &str, folder: &TempDir) {
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65_534;
    // The user may lack access to the build folder, so the binary is copied first.
    let binary = folder.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    let mut command = Command::new(&binary);
    command
        .args(["--exact", test])
        .env("SEMEL_TEST_FOLDER", folder.path())
        .current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn what_this_user_may_not_use_is_refused() {
    let folder = folder();
    let allow = |name: &str, mode| {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for name in ["locked", "open", "closed"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for (name, mode) in [
        ("locked/ledger.db", 0o666),
        ("open/read-only.db", 0o444),
        ("open/secret.db", 0o000),
    ] {
        drop(SqliteStore::open(folder.path().join(name)).unwrap());
        allow(name, mode);
    }
    allow("", 0o755);
    allow("locked", 0o555);
    allow("open", 0o777);
    allow("closed", 0o000);
    run_as_nobody("tests::opening::as_somebody_else", &folder);
    allow("closed", 0o700);
    allow("locked", 0o700);
}

#[test]
fn as_somebody_else() {
    // A part of another test, which runs it in a process of its own.
    if std::env::var_os("SEMEL_TEST_FOLDER").is_none() {
        return;
    }
    let folder = PathBuf::from(std::env::var_os("SEMEL_TEST_FOLDER").unwrap());
    for name in ["closed/ledger.db", "locked/new.db", "open/secret.db"] {
        let error = open_error(folder.join(name));
        assert!(
            matches!(error, SqliteOpenError::Denied(_)),
            "{name}: {error}"
        );
    }
    for name in ["locked/ledger.db", "open/read-only.db"] {
        let error = open_error(folder.join(name));
        assert!(
            matches!(error, SqliteOpenError::ReadOnly(_)),
            "{name}: {error}"
        );
    }
}
