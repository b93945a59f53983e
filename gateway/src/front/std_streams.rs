//! The standard streams of this process as asynchronous streams. Pipes and sockets are read and
//! written without a thread between, as any other connection is. Terminals and files go through
//! tokio's blocking threads.
//!
//! That makes a stream non-blocking for every process that shares it. So stdout stays blocking
//! where stderr is the same stream: a log line must not fail for want of room.

use rustix::fs::{FileType, fstat};
use std::{
    io::{self, IsTerminal},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream as StdUnixStream,
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{UnixStream, unix::pipe},
};

/// Returns this process's stdin.
pub fn stdin() -> Box<dyn AsyncRead + Send + Unpin> {
    let stdin = io::stdin();
    open_reader(stdin.as_fd()).unwrap_or_else(|| Box::new(tokio::io::stdin()))
}

/// Returns this process's stdout.
pub fn stdout() -> Box<dyn AsyncWrite + Send + Unpin> {
    let stdout = io::stdout();
    let stderr = io::stderr();
    let is_shared = stdout.is_terminal() || is_same_file(stdout.as_fd(), stderr.as_fd());
    let writer = if is_shared {
        None
    } else {
        open_writer(stdout.as_fd())
    };
    writer.unwrap_or_else(|| Box::new(tokio::io::stdout()))
}

fn open_reader(stream: BorrowedFd<'_>) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
    match file_type(stream)? {
        FileType::Fifo => Some(Box::new(
            pipe::Receiver::from_owned_fd(duplicate(stream)?).ok()?,
        )),
        FileType::Socket => Some(Box::new(open_socket(duplicate(stream)?)?)),
        _ => None,
    }
}

fn open_writer(stream: BorrowedFd<'_>) -> Option<Box<dyn AsyncWrite + Send + Unpin>> {
    match file_type(stream)? {
        FileType::Fifo => Some(Box::new(
            pipe::Sender::from_owned_fd(duplicate(stream)?).ok()?,
        )),
        FileType::Socket => Some(Box::new(open_socket(duplicate(stream)?)?)),
        _ => None,
    }
}

fn open_socket(stream: OwnedFd) -> Option<UnixStream> {
    let stream = StdUnixStream::from(stream);
    // A socket of another family, such as TCP, fails here.
    stream.local_addr().ok()?;
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}

fn duplicate(stream: BorrowedFd<'_>) -> Option<OwnedFd> {
    stream.try_clone_to_owned().ok()
}

fn file_type(stream: BorrowedFd<'_>) -> Option<FileType> {
    fstat(stream)
        .ok()
        .map(|status| FileType::from_raw_mode(status.st_mode))
}

/// Returns whether two descriptors refer to the same file. Without an answer of the system they
/// may.
fn is_same_file(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    match (fstat(one), fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::fs::File;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn pipes_and_sockets_are_waited_for_and_files_are_not() {
        let (near, far) = StdUnixStream::pair().unwrap();
        let (pipe_read, pipe_write) = io::pipe().unwrap();
        for (read, write) in [
            (near.as_fd(), far.as_fd()),
            (pipe_read.as_fd(), pipe_write.as_fd()),
        ] {
            let mut read = open_reader(read).unwrap();
            let mut write = open_writer(write).unwrap();
            write.write_all(b"line\n").await.unwrap();
            let mut text = [0; 5];
            read.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"line\n");
        }
        let file = File::open("/dev/null").unwrap();
        assert!(open_reader(file.as_fd()).is_none() && open_writer(file.as_fd()).is_none());
        assert!(
            is_same_file(near.as_fd(), near.as_fd()) && !is_same_file(near.as_fd(), far.as_fd())
        );
    }
}
