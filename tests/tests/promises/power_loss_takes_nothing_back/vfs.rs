//! SQLite's own way to files, with an ear on what is written and synced below watched folders.
//!
//! The default VFS is registered again under another name, as the new default. It differs in two
//! functions: opening a file installs a copy of the file's method table in which the four functions
//! that change files are replaced; deleting a file notifies the disk. Other files are unaffected.
#![expect(
    unsafe_code,
    reason = "SQLite asks for a table of functions. Each is called by SQLite as its documents say: with the file that it
        opened and has not closed, and with memory of the length that it names, for the time of the call. Each calls the
        original with the very same arguments. Tables are made once and never freed, as SQLite asks"
)]

use super::disk::{Change, Disk};
use rusqlite::ffi::{
    SQLITE_OK, SQLITE_OPEN_CREATE, SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL, sqlite3_file,
    sqlite3_filename, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find,
    sqlite3_vfs_register,
};
use std::{
    collections::HashMap,
    ffi::{CStr, OsStr, c_char, c_int, c_void},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    ptr, slice,
    sync::{Arc, Mutex, OnceLock},
};

/// The folders that are watched.
static WATCHED: Mutex<Vec<(PathBuf, Arc<Disk>)>> = Mutex::new(Vec::new());

/// The open files below them, by the address of SQLite's handle.
static OPENED: Mutex<Option<HashMap<usize, Opened>>> = Mutex::new(None);

/// The ordinary way to files: its address, which SQLite wants to hear again.
static ORIGINAL: OnceLock<Original> = OnceLock::new();

struct Original(*mut sqlite3_vfs);

// SAFETY: SQLite registers it at its start, never frees it, and calls it from any thread itself.
unsafe impl Send for Original {}
// SAFETY: as above; nothing is written to it.
unsafe impl Sync for Original {}

#[derive(Clone)]
struct Opened {
    disk: Arc<Disk>,
    name: String,
    methods: &'static sqlite3_io_methods,
    /// Its first sync makes the names in its folder durable, too.
    syncs_folder: bool,
}

/// Reports SQLite's changes of files below `folder` to `disk` from now on.
pub fn watch(folder: &Path, disk: &Arc<Disk>) {
    ORIGINAL.get_or_init(register);
    WATCHED
        .lock()
        .unwrap()
        .push((folder.to_owned(), Arc::clone(disk)));
}

fn register() -> Original {
    // SAFETY: null asks for the default, which SQLite always has. It is copied as the plain table that it is, and the
    // copy is registered for ever.
    unsafe {
        let original = sqlite3_vfs_find(ptr::null());
        let mut watching = *original;
        watching.zName = c"watching".as_ptr();
        watching.pNext = ptr::null_mut();
        watching.xOpen = Some(open);
        watching.xDelete = Some(delete);
        assert_eq!(
            sqlite3_vfs_register(Box::into_raw(Box::new(watching)), 1),
            SQLITE_OK
        );
        Original(original)
    }
}

fn original() -> *mut sqlite3_vfs {
    ORIGINAL.get().unwrap().0
}

/// The disk that watches the file of this name, and the file's path within the folder.
fn watcher(name: *const c_char) -> Option<(Arc<Disk>, String)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: SQLite's names end with a zero.
    let path = Path::new(OsStr::from_bytes(
        unsafe { CStr::from_ptr(name) }.to_bytes(),
    ));
    let watched = WATCHED.lock().unwrap();
    let (_, disk) = watched
        .iter()
        .find(|(folder, _)| path.starts_with(folder))?;
    Some((Arc::clone(disk), path.file_name()?.to_str()?.to_owned()))
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    granted: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's own call, passed on; afterwards the file has the original's methods.
    unsafe {
        let done = (*original()).xOpen.unwrap()(original(), name, file, flags, granted);
        if done == SQLITE_OK
            && let Some((disk, name)) = watcher(name)
        {
            let methods: &'static sqlite3_io_methods = &*(*file).pMethods;
            let makes_names = SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
            let syncs_folder = flags & SQLITE_OPEN_CREATE != 0 && flags & makes_names != 0;
            let opened = Opened {
                disk,
                name,
                methods,
                syncs_folder,
            };
            OPENED
                .lock()
                .unwrap()
                .get_or_insert_default()
                .insert(file as usize, opened);
            (*file).pMethods = listening(methods);
        }
        done
    }
}

/// The same methods, but for those that change the file.
fn listening(methods: &'static sqlite3_io_methods) -> &'static sqlite3_io_methods {
    static TABLES: Mutex<Option<HashMap<usize, &'static sqlite3_io_methods>>> = Mutex::new(None);
    let mut tables = TABLES.lock().unwrap();
    tables
        .get_or_insert_default()
        .entry(ptr::from_ref(methods) as usize)
        .or_insert_with(|| {
            let mut table = *methods;
            table.xClose = Some(close);
            table.xWrite = Some(write);
            table.xTruncate = Some(truncate);
            table.xSync = Some(sync);
            // Without it a file may be changed through memory, unheard.
            table.iVersion = table.iVersion.min(2);
            Box::leak(Box::new(table))
        })
}

fn opened(file: *mut sqlite3_file) -> Opened {
    OPENED.lock().unwrap().as_ref().unwrap()[&(file as usize)].clone()
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let opened = OPENED
        .lock()
        .unwrap()
        .as_mut()
        .unwrap()
        .remove(&(file as usize))
        .unwrap();
    // SAFETY: SQLite's own call, passed on.
    unsafe { opened.methods.xClose.unwrap()(file) }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    bytes: c_int,
    at: sqlite3_int64,
) -> c_int {
    let Opened {
        disk,
        name,
        methods,
        ..
    } = opened(file);
    // SAFETY: SQLite names the length of its memory, which is not changed during the call.
    let content = unsafe { slice::from_raw_parts(data.cast::<u8>(), bytes as usize) }.to_vec();
    disk.change(
        &name,
        Change::Write {
            at: at as usize,
            content,
        },
        |bytes| {
            // SAFETY: SQLite's own call, passed on, with no more bytes than it has.
            unsafe { methods.xWrite.unwrap()(file, data, bytes as c_int, at) }
        },
    )
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    let Opened {
        disk,
        name,
        methods,
        ..
    } = opened(file);
    // SAFETY: SQLite's own call, passed on.
    disk.change(
        &name,
        Change::Truncate {
            size: size as usize,
        },
        |_| unsafe { methods.xTruncate.unwrap()(file, size) },
    )
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let Opened {
        disk,
        name,
        methods,
        syncs_folder,
    } = opened(file);
    OPENED
        .lock()
        .unwrap()
        .as_mut()
        .unwrap()
        .get_mut(&(file as usize))
        .unwrap()
        .syncs_folder = false;
    // SAFETY: SQLite's own call, passed on.
    disk.change(
        &name,
        Change::Sync {
            folder: syncs_folder,
        },
        |_| unsafe { methods.xSync.unwrap()(file, flags) },
    )
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: SQLite's own call, passed on.
    let delete = |_| unsafe { (*original()).xDelete.unwrap()(original(), name, sync_folder) };
    match watcher(name) {
        Some((disk, name)) => disk.change(
            &name,
            Change::Delete {
                synced: sync_folder != 0,
            },
            delete,
        ),
        None => delete(0),
    }
}
