//! The WAL file of a connection, rewritten through SQLite's own file methods: a VFS in their place, as
//! in a test, sees the writes.

#![expect(
    unsafe_code,
    reason = "SQLite gives a file as a pointer, and its operations as a table of functions. The pointer is valid
        while the connection has its WAL open, and there is no other user: the connection is borrowed, is used by
        one thread at a time, and takes no step while these functions run. Memory is passed with its own length"
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

/// The bytes in one read and write: the largest page, so no more than SQLite itself uses.
const CHUNK_BYTES: i64 = 1 << 16;

/// Writes every byte of the WAL back to its place, and syncs the file. No other connection may be open.
pub(super) fn rewrite(connection: &Connection) -> rusqlite::Result<()> {
    let Some(wal) = WalFile::from_connection(connection)? else {
        return Ok(());
    };
    let size = wal.size()?;
    let mut chunk = Vec::new();
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from(CHUNK_BYTES.min(size - offset)).unwrap_or_default();
        chunk.resize(length, 0);
        wal.read_at(&mut chunk, offset)?;
        wal.write_at(&chunk, offset)?;
        offset += CHUNK_BYTES;
    }
    wal.sync()
}

struct WalFile<'a> {
    file: *mut sqlite3_file,
    methods: &'a sqlite3_io_methods,
    _connection: PhantomData<&'a Connection>,
}

impl<'a> WalFile<'a> {
    /// Returns `None` if the connection has no WAL open.
    fn from_connection(connection: &'a Connection) -> rusqlite::Result<Option<Self>> {
        let mut file: *mut sqlite3_file = ptr::null_mut();
        // SAFETY: the handle is that of an open connection, and with this request SQLite writes one pointer to the
        // given address.
        let code = unsafe {
            let address = ptr::from_mut(&mut file).cast::<c_void>();
            sqlite3_file_control(
                connection.handle(),
                c"main".as_ptr(),
                SQLITE_FCNTL_JOURNAL_POINTER,
                address,
            )
        };
        check_code(code)?;
        // SAFETY: a file that SQLite gives has a table of functions while it is open, and null afterwards.
        let methods = unsafe { file.as_ref().and_then(|file| file.pMethods.as_ref()) };
        Ok(methods.map(|methods| Self {
            file,
            methods,
            _connection: PhantomData,
        }))
    }

    fn size(&self) -> rusqlite::Result<i64> {
        let mut size = 0;
        // SAFETY: the size is written to the address of a number of this type.
        check_code(
            self.methods
                .xFileSize
                .map_or(SQLITE_MISUSE, |file_size| unsafe {
                    file_size(self.file, &raw mut size)
                }),
        )?;
        Ok(size)
    }

    fn read_at(&self, chunk: &mut [u8], offset: i64) -> rusqlite::Result<()> {
        let target = chunk.as_mut_ptr().cast::<c_void>();
        let bytes = c_length(chunk)?;
        // SAFETY: `bytes` bytes are written to memory of that size.
        check_code(self.methods.xRead.map_or(SQLITE_MISUSE, |read| unsafe {
            read(self.file, target, bytes, offset)
        }))
    }

    fn write_at(&self, chunk: &[u8], offset: i64) -> rusqlite::Result<()> {
        let source = chunk.as_ptr().cast::<c_void>();
        let bytes = c_length(chunk)?;
        // SAFETY: `bytes` bytes are read from memory of that size.
        check_code(self.methods.xWrite.map_or(SQLITE_MISUSE, |write| unsafe {
            write(self.file, source, bytes, offset)
        }))
    }

    fn sync(&self) -> rusqlite::Result<()> {
        // SAFETY: no memory is passed.
        check_code(self.methods.xSync.map_or(SQLITE_MISUSE, |sync| unsafe {
            sync(self.file, SQLITE_SYNC_NORMAL)
        }))
    }
}

fn c_length(chunk: &[u8]) -> rusqlite::Result<c_int> {
    c_int::try_from(chunk.len()).map_err(|_| sqlite_failure(SQLITE_MISUSE))
}

fn check_code(code: c_int) -> rusqlite::Result<()> {
    if code == SQLITE_OK {
        Ok(())
    } else {
        Err(sqlite_failure(code))
    }
}

fn sqlite_failure(code: c_int) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(Error::new(code), None)
}
