//! Moves bytes between a socket and a session, in batches, from one task.
//!
//! Each poll writes what is there, reads what is there, lets the session act on all of it, and
//! writes again. A connection without traffic owns no buffers.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::buffers;
use super::super::outbox::Outbox;
use super::super::server::FRAME_MAX;
use super::heartbeat::{Deadlines, Elapsed};
use super::session::Session;
use crate::broker::OfConnection;
use crate::codec::amqp::FRAME_OVERHEAD;

/// Bytes of one read at most. Smaller buffers cost CPU, larger ones leave the processor's cache.
const READ_SIZE: usize = 128 * 1024;

/// Room for one read behind an incomplete frame of the largest size.
const READ_BUFFER_SIZE: usize = READ_SIZE + FRAME_MAX as usize + FRAME_OVERHEAD;

/// Rounds of one poll before other tasks get their turn.
const ROUNDS_MAX: usize = 16;

thread_local! {
    /// One read buffer for all connections of a worker; never held across a poll.
    static READ_BUFFER: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; READ_BUFFER_SIZE].into_boxed_slice());
}

/// One connection: its socket, its session, and the bytes between the two.
pub(super) struct Io<S> {
    pub(super) stream: S,
    pub(super) session: Session,
    outbox: Arc<Outbox>,
    /// Taken from the outbox and not yet written.
    batch: Vec<u8>,
    written: usize,
    needs_flush: bool,
    /// The socket takes nothing now, and wakes the task when it does.
    is_write_blocked: bool,
    /// Read and not yet consumed: an incomplete frame, or more while the session is paused.
    unread: Vec<u8>,
    /// `unread` may hold complete frames, because the session paused on them.
    has_backlog: bool,
    deadlines: Deadlines,
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum End {
    /// Both sides agreed, or this side has nothing more to say.
    Closed,
    /// The client is gone without a word.
    Disconnected,
    /// The socket failed.
    Socket(io::Error),
    /// The client missed its heartbeats.
    HeartbeatMissed,
    /// The client took too long to say hello or goodbye.
    TimedOut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Io<S> {
    pub(super) fn new(stream: S, session: Session) -> Self {
        let outbox = Arc::clone(session.outbox());
        let deadlines = Deadlines::new(session.server.timers().clone());
        Self {
            stream,
            session,
            outbox,
            batch: Vec::new(),
            written: 0,
            needs_flush: false,
            is_write_blocked: false,
            unread: Vec::new(),
            has_backlog: false,
            deadlines,
        }
    }

    pub(super) fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.outbox.awake();
        if let Some(end) = self.poll_clocks(context) {
            return Poll::Ready(end);
        }
        for _ in 0..ROUNDS_MAX {
            match self.poll_round(context) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => {
                    self.outbox.sleep(context.waker());
                    // Whatever was appended or announced before the line above woke nobody.
                    let can_write = self.outbox.has_unsent() && !self.is_write_blocked;
                    if !can_write && !self.session.has_news() {
                        return Poll::Pending;
                    }
                    self.outbox.awake();
                }
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// What the time wants of the connection. Once for each time that the task is woken: it wakes the task itself.
    fn poll_clocks(&mut self, context: &mut Context<'_>) -> Option<End> {
        // Until nothing is due: only then will the next deadline wake the task.
        while let Some(elapsed) = self.deadlines.poll(context, self.session.is_blocked()) {
            match elapsed {
                Elapsed::SendHeartbeat => self.session.send_heartbeat(),
                Elapsed::Silence => return Some(End::HeartbeatMissed),
                Elapsed::Phase => return Some(End::TimedOut),
            }
        }
        None
    }

    /// Whether anything moved.
    fn poll_round(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, End>> {
        self.session.on_news();
        let mut moved = self.poll_write(context).map_err(End::Socket)?;
        if self.session.is_finished() && !self.outbox.has_unsent() {
            if self.needs_flush {
                ready!(Pin::new(&mut self.stream).poll_flush(context)).map_err(End::Socket)?;
            }
            return Poll::Ready(Err(End::Closed));
        }
        if self.session.wants_input() && !self.outbox.is_flooded() {
            if self.has_backlog {
                self.drain_backlog();
                moved = true;
            } else {
                moved |= self.poll_read(context)?;
            }
        }
        if self.deadlines.follow(self.session.phase())
            && let Some(end) = self.poll_clocks(context)
        {
            return Poll::Ready(Err(end));
        }
        Poll::Ready(Ok(moved))
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        self.is_write_blocked = false;
        loop {
            if self.written == self.batch.len() {
                self.written = 0;
                if self.batch.capacity() > 0 {
                    buffers::give(std::mem::take(&mut self.batch));
                }
                if !self.outbox.has_unsent() {
                    break;
                }
                self.batch = self.outbox.take();
                if self.batch.is_empty() {
                    break;
                }
            }
            let rest = &self.batch[self.written..];
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Pending => {
                    self.is_write_blocked = true;
                    break;
                }
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    self.outbox.sent(count);
                    self.session.count_bytes(OfConnection::Sent, count);
                    self.deadlines.sent();
                    self.needs_flush = true;
                    moved = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        if self.needs_flush
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(context)
        {
            flushed?;
            self.needs_flush = false;
        }
        if self.outbox.take_throttled() {
            self.session.on_drained();
            moved = true;
        }
        Ok(moved)
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Result<bool, End> {
        READ_BUFFER.with_borrow_mut(|buffer| {
            let kept = self.unread.len();
            buffer[..kept].copy_from_slice(&self.unread);
            let mut free = ReadBuf::new(&mut buffer[kept..kept + READ_SIZE]);
            match Pin::new(&mut self.stream).poll_read(context, &mut free) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(End::Socket(error)),
                Poll::Ready(Ok(())) => {}
            }
            let count = free.filled().len();
            if count == 0 {
                return Err(End::Disconnected);
            }
            self.deadlines.received();
            self.session.count_bytes(OfConnection::Received, count);
            let consumed = self.session.on_data(&buffer[..kept + count]);
            let rest = &buffer[consumed..kept + count];
            if rest.is_empty() {
                self.unread = Vec::new();
            } else {
                self.unread.clear();
                self.unread.extend_from_slice(rest);
            }
            self.has_backlog = !self.session.wants_input();
            Ok(true)
        })
    }

    fn drain_backlog(&mut self) {
        let consumed = self.session.on_data(&self.unread);
        self.unread.drain(..consumed);
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
        self.has_backlog = !self.session.wants_input();
    }
}
