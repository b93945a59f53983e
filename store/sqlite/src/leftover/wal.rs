//! The WAL of a connection, written anew by SQLite's own way to files: whoever puts something in its place hears of it.

#![expect(
    unsafe_code,
    reason = "SQLite gives a file as a pointer, and what can be done with it as a table of functions. The pointer is
        good as long as the connection has its WAL open, and nobody else uses it meanwhile: the connection is borrowed, is
        used by one thread at a time, and takes no step while these functions run. Memory is passed with its own length"
)]

use rusqlite::{
    Connection,
    ffi::{
        Error, SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_MISUSE, SQLITE_OK, SQLITE_SYNC_NORMAL,
        sqlite3_file, sqlite3_file_control, sqlite3_io_methods,
    },
};
use std::{
    ffi::{c_int, c_void},
    marker::PhantomData,
    ptr,
};

/// How many bytes are read and written at a time: no more than the largest page, and so no more than SQLite itself.
const PIECE: i64 = 1 << 16;

/// Writes all that the WAL shows to where it is, and syncs it. No other connection may have it open.
pub(super) fn write_anew(connection: &Connection) -> rusqlite::Result<()> {
    let Some(wal) = Wal::of(connection)? else {
        return Ok(());
    };
    let size = wal.size()?;
    let mut piece = Vec::new();
    let mut at = 0;
    while at < size {
        piece.resize(usize::try_from(PIECE.min(size - at)).unwrap_or_default(), 0);
        wal.read(&mut piece, at)?;
        wal.write(&piece, at)?;
        at += PIECE;
    }
    wal.sync()
}

struct Wal<'a> {
    file: *mut sqlite3_file,
    methods: &'a sqlite3_io_methods,
    _of: PhantomData<&'a Connection>,
}

impl<'a> Wal<'a> {
    /// None: the connection has none open.
    fn of(connection: &'a Connection) -> rusqlite::Result<Option<Self>> {
        let mut file: *mut sqlite3_file = ptr::null_mut();
        // SAFETY: the handle is that of an open connection, and with this request SQLite writes one pointer to the
        // address it is given.
        let asked = unsafe {
            let to = ptr::from_mut(&mut file).cast::<c_void>();
            sqlite3_file_control(
                connection.handle(),
                c"main".as_ptr(),
                SQLITE_FCNTL_JOURNAL_POINTER,
                to,
            )
        };
        done(asked)?;
        // SAFETY: where SQLite gives a file it has a table of functions while it is open, and null afterwards.
        let methods = unsafe { file.as_ref().and_then(|file| file.pMethods.as_ref()) };
        Ok(methods.map(|methods| Self {
            file,
            methods,
            _of: PhantomData,
        }))
    }

    fn size(&self) -> rusqlite::Result<i64> {
        let mut size = 0;
        // SAFETY: the size is written to the address of a number of this type.
        done(self.methods.xFileSize.map_or(SQLITE_MISUSE, |ask| unsafe {
            ask(self.file, &raw mut size)
        }))?;
        Ok(size)
    }

    fn read(&self, piece: &mut [u8], at: i64) -> rusqlite::Result<()> {
        let to = piece.as_mut_ptr().cast::<c_void>();
        let bytes = length(piece)?;
        // SAFETY: so many bytes are written to memory that has as many.
        done(self.methods.xRead.map_or(SQLITE_MISUSE, |read| unsafe {
            read(self.file, to, bytes, at)
        }))
    }

    fn write(&self, piece: &[u8], at: i64) -> rusqlite::Result<()> {
        let from = piece.as_ptr().cast::<c_void>();
        let bytes = length(piece)?;
        // SAFETY: so many bytes are read from memory that has as many.
        done(self.methods.xWrite.map_or(SQLITE_MISUSE, |write| unsafe {
            write(self.file, from, bytes, at)
        }))
    }

    fn sync(&self) -> rusqlite::Result<()> {
        // SAFETY: no memory is passed.
        done(self.methods.xSync.map_or(SQLITE_MISUSE, |sync| unsafe {
            sync(self.file, SQLITE_SYNC_NORMAL)
        }))
    }
}

fn length(piece: &[u8]) -> rusqlite::Result<c_int> {
    c_int::try_from(piece.len()).map_err(|_| failure(SQLITE_MISUSE))
}

fn done(code: c_int) -> rusqlite::Result<()> {
    if code == SQLITE_OK {
        Ok(())
    } else {
        Err(failure(code))
    }
}

fn failure(code: c_int) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(Error::new(code), None)
}
