//! What one request (or none) brings to a client: messages in their order, read at once, kept for who must read them
//! again, or both.
//!
//! Nobody who writes into a stream waits for its reader: a server that many clients share must not stand still for the
//! slowest. A stream that is not read is cut. Nothing here knows how its reader writes messages.

use crate::{
    link::{Client, Gone},
    wire::{Id, Kind, Message},
};
use async_trait::async_trait;
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};
use tokio::sync::oneshot;

/// The most messages that are kept for who reads a stream again.
const KEPT_MAX: usize = 256;

/// The most bytes of them.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// The most messages that wait to be read.
const UNREAD_MAX: usize = 4_096;

/// The most bytes of them, but for a single message.
const UNREAD_BYTES_MAX: usize = 16 << 20;

/// A stream of messages.
pub(super) struct Stream {
    /// Which of its session's.
    pub(super) number: u64,
    state: Mutex<State>,
}

struct State {
    /// What was read and is kept, and then what waits to be read.
    events: VecDeque<Event>,
    bytes: usize,
    /// The number of the next message.
    next: u64,
    /// The number of the first message that was never read.
    unread: u64,
    /// The requests that are not answered yet.
    asked: Vec<Id>,
    /// Whether it ends once they are answered.
    ends: bool,
    /// Whether what was read is kept, and what nobody reads, too.
    keeps: bool,
    is_over: bool,
    reader: Option<Reader>,
    turns: u64,
}

struct Event {
    number: u64,
    message: Message,
    written: Option<oneshot::Sender<()>>,
}

/// Who reads, told apart from who read before.
struct Reader {
    turn: u64,
    waker: Option<Waker>,
}

/// A message that is read.
pub(super) struct Read {
    /// Its number in the stream.
    pub(super) number: u64,
    pub(super) message: Message,
    /// To be told once it was written to a connection.
    pub(super) written: Option<oneshot::Sender<()>>,
}

/// What a stream begins with.
pub(super) enum Beginning {
    /// It is the one message.
    Whole,
    /// There is more to come than what is there.
    Part,
}

impl Stream {
    /// A stream that ends once these requests are answered.
    pub(super) fn answering(number: u64, asked: Vec<Id>) -> Arc<Self> {
        Self::new(number, asked, true, false)
    }

    /// A stream for what no request caused. It lasts as long as its session.
    pub(super) fn standing(number: u64) -> Arc<Self> {
        Self::new(number, Vec::new(), false, true)
    }

    fn new(number: u64, asked: Vec<Id>, ends: bool, keeps: bool) -> Arc<Self> {
        let state = State {
            events: VecDeque::new(),
            bytes: 0,
            next: 1,
            unread: 1,
            asked,
            ends,
            keeps,
            is_over: false,
            reader: None,
            turns: 0,
        };
        Arc::new(Self {
            number,
            state: Mutex::new(state),
        })
    }

    /// From now on what is read is kept, because its reader can ask for it again.
    pub(super) fn keep(&self) {
        self.state().keeps = true;
    }

    /// Begins to read: after the message of this number, or with the first that was never read. Who read before is cut
    /// off. None: what would have to be read first is no longer kept.
    pub(super) fn read(self: &Arc<Self>, after: Option<u64>) -> Option<Reading> {
        let mut state = self.state();
        let at = after.map_or(state.unread, |number| number.saturating_add(1));
        let first = state
            .events
            .front()
            .map_or(state.next, |event| event.number);
        if at < first || at > state.next {
            return None;
        }
        state.turns += 1;
        let turn = state.turns;
        let before = state.reader.replace(Reader { turn, waker: None });
        drop(state);
        before
            .and_then(|reader| reader.waker)
            .into_iter()
            .for_each(Waker::wake);
        Some(Reading {
            stream: Arc::clone(self),
            turn,
            at,
        })
    }

    /// Whether somebody reads it now.
    pub(super) fn is_read(&self) -> bool {
        self.state().reader.is_some()
    }

    /// Whether nothing more will be written.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_over
    }

    /// Ends it: what was not read yet can still be.
    pub(super) fn end(&self) {
        let waker = {
            let mut state = self.state();
            state.is_over = true;
            state.waker()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn write(&self, message: Message, written: Option<oneshot::Sender<()>>) -> Result<(), Gone> {
        let waker = {
            let mut state = self.state();
            state.write(message, written)?;
            state.waker()
        };
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn waker(&mut self) -> Option<Waker> {
        self.reader.as_mut().and_then(|reader| reader.waker.take())
    }

    fn write(
        &mut self,
        message: Message,
        written: Option<oneshot::Sender<()>>,
    ) -> Result<(), Gone> {
        if self.is_over {
            return Err(Gone);
        }
        if !self.answers(&message) {
            tracing::warn!("a response is dropped, because nobody on this stream waits for it");
            return Ok(());
        }
        if self.reader.is_none() && !self.keeps {
            return Err(Gone);
        }
        self.bytes += message.bytes().len();
        self.events.push_back(Event {
            number: self.next,
            message,
            written,
        });
        self.next += 1;
        if self.is_unread_too_long() {
            tracing::warn!(
                "a client's stream is cut, because it does not read what is written to it"
            );
            self.cut();
            return Err(Gone);
        }
        self.forget();
        Ok(())
    }

    /// Whether the message belongs here. Once all requests are answered, nothing more will come.
    fn answers(&mut self, message: &Message) -> bool {
        if !self.ends || !matches!(message.kind(), Kind::Result | Kind::Error) {
            return true;
        }
        let Some(id) = message.id() else { return true };
        let Some(at) = self.asked.iter().position(|asked| asked == id) else {
            return false;
        };
        self.asked.swap_remove(at);
        self.is_over = self.asked.is_empty();
        true
    }

    fn is_unread_too_long(&self) -> bool {
        let unread = self.next - self.unread;
        self.reader.is_some()
            && unread > 1
            && (unread > UNREAD_MAX as u64 || self.bytes > UNREAD_BYTES_MAX + KEPT_BYTES_MAX)
    }

    fn cut(&mut self) {
        self.events.clear();
        self.bytes = 0;
        self.is_over = true;
        self.unread = self.next;
        self.keeps = false;
    }

    /// Forgets the oldest beyond the bounds: what was read, and where nobody reads, what was not.
    fn forget(&mut self) {
        while let Some(first) = self.events.front() {
            let is_read = first.number < self.unread;
            let is_too_much = self.events.len() > KEPT_MAX || self.bytes > KEPT_BYTES_MAX;
            let goes = if is_read {
                is_too_much || !self.keeps
            } else {
                is_too_much && self.reader.is_none()
            };
            // A stream's last word stays for whoever comes back for it.
            if !goes || self.events.len() == 1 && self.keeps {
                return;
            }
            self.bytes -= first.message.bytes().len();
            self.events.pop_front();
        }
    }
}

/// A reader of a stream: the only one at a time.
pub(super) struct Reading {
    stream: Arc<Stream>,
    turn: u64,
    at: u64,
}

impl Reading {
    /// Which stream is read.
    pub(super) fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// The next message; none: the stream is over, or somebody else reads it now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Read>> {
        let mut state = self.stream.state();
        if !is_turn(&state, self.turn) {
            return Poll::Ready(None);
        }
        let at = self.at;
        if let Some(event) = state.events.iter_mut().find(|event| event.number >= at) {
            let read = Read {
                number: event.number,
                message: event.message.clone(),
                written: event.written.take(),
            };
            self.at = read.number + 1;
            state.unread = state.unread.max(self.at);
            state.forget();
            return Poll::Ready(Some(read));
        }
        if state.is_over {
            return Poll::Ready(None);
        }
        wait(&mut state, cx);
        Poll::Pending
    }

    /// Waits for the first message, without reading it.
    pub(super) fn poll_beginning(&self, cx: &mut Context<'_>) -> Poll<Beginning> {
        let mut state = self.stream.state();
        match (state.next - state.unread, state.is_over) {
            (1, true) => Poll::Ready(Beginning::Whole),
            (0, false) => {
                wait(&mut state, cx);
                Poll::Pending
            }
            _ => Poll::Ready(Beginning::Part),
        }
    }
}

fn is_turn(state: &State, turn: u64) -> bool {
    state
        .reader
        .as_ref()
        .is_some_and(|reader| reader.turn == turn)
}

fn wait(state: &mut State, cx: &Context<'_>) {
    if let Some(reader) = &mut state.reader {
        reader.waker = Some(cx.waker().clone());
    }
}

impl Drop for Reading {
    /// Who waits for messages to be written learns that they are not.
    fn drop(&mut self) {
        let mut state = self.stream.state();
        if !is_turn(&state, self.turn) {
            return;
        }
        state.reader = None;
        for event in &mut state.events {
            event.written = None;
        }
        if !state.keeps {
            state.cut();
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Client for Stream {
    async fn put(&self, message: Message) -> Result<(), Gone> {
        self.write(message, None)
    }

    async fn deliver(&self, message: Message) -> Result<(), Gone> {
        let (written, is_written) = oneshot::channel();
        let is_read = self.is_read();
        self.write(message, Some(written).filter(|_| is_read))?;
        if is_read {
            is_written.await.map_err(|_| Gone)
        } else {
            Err(Gone)
        }
    }
}

#[cfg(test)]
mod tests;
