//! The standard streams of this process without a thread between: where they are pipes or sockets, they are waited for as
//! any other connection is. Anything else (a terminal, a file) is read and written by tokio's threads.
//!
//! A stream is made non-blocking by that for whoever else holds it, which is why stdout stays as it is where stderr is the
//! same: a log that is written to it must not fail for want of room.

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

/// This process's stdin.
pub fn input() -> Box<dyn AsyncRead + Send + Unpin> {
    let stdin = io::stdin();
    reader(stdin.as_fd()).unwrap_or_else(|| Box::new(tokio::io::stdin()))
}

/// This process's stdout.
pub fn output() -> Box<dyn AsyncWrite + Send + Unpin> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let shares = stdout.is_terminal() || is_same(stdout.as_fd(), stderr.as_fd());
    let own = if shares { None } else { writer(stdout.as_fd()) };
    own.unwrap_or_else(|| Box::new(tokio::io::stdout()))
}

fn reader(stream: BorrowedFd<'_>) -> Option<Box<dyn AsyncRead + Send + Unpin>> {
    match kind(stream)? {
        FileType::Fifo => Some(Box::new(pipe::Receiver::from_owned_fd(copy(stream)?).ok()?)),
        FileType::Socket => Some(Box::new(socket(copy(stream)?)?)),
        _ => None,
    }
}

fn writer(stream: BorrowedFd<'_>) -> Option<Box<dyn AsyncWrite + Send + Unpin>> {
    match kind(stream)? {
        FileType::Fifo => Some(Box::new(pipe::Sender::from_owned_fd(copy(stream)?).ok()?)),
        FileType::Socket => Some(Box::new(socket(copy(stream)?)?)),
        _ => None,
    }
}

fn socket(stream: OwnedFd) -> Option<UnixStream> {
    let stream = StdUnixStream::from(stream);
    // A socket of another family is none of ours.
    stream.local_addr().ok()?;
    stream.set_nonblocking(true).ok()?;
    UnixStream::from_std(stream).ok()
}

fn copy(stream: BorrowedFd<'_>) -> Option<OwnedFd> {
    stream.try_clone_to_owned().ok()
}

fn kind(stream: BorrowedFd<'_>) -> Option<FileType> {
    fstat(stream)
        .ok()
        .map(|status| FileType::from_raw_mode(status.st_mode))
}

/// Where that cannot be seen, they may be.
fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
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
            let (mut read, mut write) = (reader(read).unwrap(), writer(write).unwrap());
            write.write_all(b"line\n").await.unwrap();
            let mut text = [0; 5];
            read.read_exact(&mut text).await.unwrap();
            assert_eq!(&text, b"line\n");
        }
        let file = File::open("/dev/null").unwrap();
        assert!(reader(file.as_fd()).is_none() && writer(file.as_fd()).is_none());
        assert!(is_same(near.as_fd(), near.as_fd()) && !is_same(near.as_fd(), far.as_fd()));
    }
}
