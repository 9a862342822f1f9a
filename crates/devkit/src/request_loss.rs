//! A connection to PostgreSQL that fails at one request: any statement, and not only COMMIT.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::commit_loss::{Stream, connect, is_commit};

/// What becomes of the request that is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It is carried out, and its reply never arrives.
    Unanswered,
    /// It is carried out when [`RequestLoss::land`] is called. A statement of an open transaction is lost instead: whatever
    /// it does, the transaction ends with its connection.
    Late,
    /// It is not carried out: the server answers with this error.
    Refused {
        /// The SQLSTATE.
        code: &'static str,
        /// The message.
        message: &'static str,
    },
}

/// What whoever sent it comes to know, unless it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Its connection is closed.
    SeesTheEnd,
    /// Nothing: it waits, until it goes away.
    Waits,
}

/// What a request that was answered has changed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing, or nothing yet: it belongs to a transaction that is open.
    None,
    /// It was a statement that committed by itself.
    Statement,
    /// It was a COMMIT.
    Commit,
}

/// A proxy in front of a PostgreSQL server. Stops when it is dropped.
#[derive(Debug)]
pub struct RequestLoss {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    plan: Mutex<Plan>,
    phase: watch::Sender<Phase>,
}

#[derive(Debug, Default)]
struct Plan {
    /// Which request fails, counted from 1, and how.
    failing: Option<(usize, Fate, Sender)>,
    /// Whether that was a COMMIT.
    is_commit: bool,
    /// What each request since then has changed.
    effects: Vec<Effect>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    Passing,
    Struck,
    Landing,
    Landed,
}

impl RequestLoss {
    /// Starts in front of the database at `server_url`, which is reached by TCP or a socket in a directory. Nothing fails
    /// yet.
    ///
    /// # Errors
    ///
    /// A URL that cannot be read, or no port to listen on.
    pub async fn start(server_url: &str) -> io::Result<Self> {
        let server = Url::parse(server_url).map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (user, port) = (server.username(), listener.local_addr()?.port());
        let url = format!("postgres://{user}@127.0.0.1:{port}{}?sslmode=disable", server.path());
        let shared = Arc::new(Shared { plan: Mutex::default(), phase: watch::Sender::new(Phase::Passing) });
        let task = tokio::spawn({
            let shared = shared.clone();
            async move {
                let mut connections = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    let (server, shared) = (server.clone(), shared.clone());
                    connections.spawn(async move { serve(client, &server, &shared).await });
                    while connections.try_join_next().is_some() {}
                }
            }
        });
        Ok(Self { url, shared, task })
    }

    /// The database behind the proxy.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes the `nth` request from now on fail, counted from 1, over all connections. A new connection begins with two of
    /// its own: the login, and the session's settings.
    pub fn fail(&self, nth: usize, fate: Fate, sender: Sender) {
        *self.shared.plan() = Plan { failing: Some((nth, fate, sender)), ..Plan::default() };
        self.shared.phase.send_replace(Phase::Passing);
    }

    /// Whether it has come to that.
    pub fn has_failed(&self) -> bool {
        *self.shared.phase.borrow() >= Phase::Struck
    }

    /// Waits until it has.
    pub async fn failed(&self) {
        self.shared.reached(Phase::Struck).await;
    }

    /// Carries out a request that is late, and waits for its end.
    pub async fn land(&self) {
        self.failed().await;
        self.shared.phase.send_if_modified(|phase| {
            let is_waiting = *phase == Phase::Struck;
            if is_waiting {
                *phase = Phase::Landing;
            }
            is_waiting
        });
        self.shared.reached(Phase::Landed).await;
    }

    /// Whether the request that failed is a COMMIT: while it is late, the locks of its transaction are held.
    pub fn is_commit(&self) -> bool {
        self.shared.plan().is_commit
    }

    /// What each request since [`RequestLoss::fail`] has changed.
    pub fn effects(&self) -> Vec<Effect> {
        self.shared.plan().effects.clone()
    }
}

impl Drop for RequestLoss {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reached(&self, phase: Phase) {
        let mut phases = self.phase.subscribe();
        // The sender lives as long as `self`.
        drop(phases.wait_for(|now| *now >= phase).await);
    }

    /// Counts a request. Its number, and what is to become of it.
    fn count(&self) -> (usize, Option<(Fate, Sender)>) {
        let mut plan = self.plan();
        plan.effects.push(Effect::None);
        let number = plan.effects.len();
        (number, plan.failing.filter(|(nth, ..)| *nth == number).map(|(_, fate, sender)| (fate, sender)))
    }

    fn note(&self, number: usize, effect: Effect) {
        if let Some(noted) = self.plan().effects.get_mut(number - 1) {
            *noted = effect;
        }
    }
}

/// Passes everything on, but for the request that is to fail.
async fn serve(mut client: TcpStream, server: &Url, shared: &Shared) -> io::Result<()> {
    let mut server = connect(server).await?;
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    let (mut replies, mut asked) = (Replies::default(), None);
    let mut unsent = Vec::new();
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                unsent.extend_from_slice(&from_client[..read]);
                while let Some(length) = request_length(&unsent, asked.is_none()) {
                    let sent: Vec<u8> = unsent.drain(..length).collect();
                    if is_close(&sent) {
                        client.write_all(&carry_out(&sent, server.as_mut(), &mut replies).await?).await?;
                        continue;
                    }
                    if is_goodbye(&sent) {
                        return server.write_all(&sent).await;
                    }
                    let (number, fate) = shared.count();
                    asked = Some(number);
                    match fate {
                        None => server.write_all(&sent).await?,
                        Some((Fate::Refused { code, message }, _)) => {
                            let refusal = refuse(&sent, server.as_mut(), &mut replies, (code, message)).await?;
                            shared.plan().is_commit = is_commit(&sent);
                            shared.phase.send_replace(Phase::Struck);
                            client.write_all(&refusal).await?;
                        }
                        Some((fate, sender)) => {
                            return strike(fate, sender, &sent, client, server.as_mut(), &mut replies, shared).await;
                        }
                    }
                }
            }
            read = server.read(&mut from_server) => {
                let sent = &from_server[..read?];
                if sent.is_empty() {
                    return Ok(());
                }
                if let (Some(effect), Some(number)) = (replies.take_in(sent), asked) {
                    shared.note(number, effect);
                }
                client.write_all(sent).await?;
            }
        }
    }
}

/// The request fails, and both connections with it.
async fn strike(
    fate: Fate,
    sender: Sender,
    sent: &[u8],
    mut client: TcpStream,
    server: &mut dyn Stream,
    replies: &mut Replies,
    shared: &Shared,
) -> io::Result<()> {
    if fate == Fate::Unanswered {
        carry_out(sent, server, replies).await?;
    }
    shared.plan().is_commit = is_commit(sent);
    // Its connection to the server is closed when this returns.
    let is_late = fate == Fate::Late && (is_commit(sent) || replies.status != b'T');
    shared.phase.send_replace(if is_late || fate != Fate::Late { Phase::Struck } else { Phase::Landed });
    if sender == Sender::SeesTheEnd {
        drop(client);
    } else {
        // It says nothing more, and goes away.
        let mut nothing = [0; 1_024];
        while client.read(&mut nothing).await.unwrap_or(0) > 0 {}
    }
    if is_late {
        shared.reached(Phase::Landing).await;
        let carried_out = carry_out(sent, server, replies).await;
        shared.phase.send_replace(Phase::Landed);
        return carried_out.map(drop);
    }
    Ok(())
}

/// Has the server carry out a request, and returns its reply: what there was of it, if the connection has ended.
async fn carry_out(sent: &[u8], server: &mut dyn Stream, replies: &mut Replies) -> io::Result<Vec<u8>> {
    server.write_all(sent).await?;
    let mut bytes = vec![0; 65_536];
    let mut reply = Vec::new();
    loop {
        let read = server.read(&mut bytes).await?;
        reply.extend_from_slice(&bytes[..read]);
        if read == 0 || replies.take_in(&bytes[..read]).is_some() {
            return Ok(reply);
        }
    }
}

/// What the server would say if it refused the request. A refused COMMIT has rolled back.
async fn refuse(
    sent: &[u8],
    server: &mut dyn Stream,
    replies: &mut Replies,
    (code, message): (&str, &str),
) -> io::Result<Vec<u8>> {
    let is_commit = is_commit(sent);
    if is_commit {
        carry_out(&framed(b'Q', b"ROLLBACK\0"), server, replies).await?;
    }
    let fields = format!("SERROR\0VERROR\0C{code}\0M{message}\0\0");
    let status = if replies.status == b'T' { b'E' } else { b'I' };
    Ok([framed(b'E', fields.as_bytes()), framed(b'Z', &[status])].concat())
}

/// A message of the protocol (PostgreSQL's documentation, "Message Formats"): its type, its length with these four bytes,
/// and its content.
fn framed(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap_or(u32::MAX);
    [&[kind][..], &length.to_be_bytes(), content].concat()
}

/// The length of the first request of what a client has sent: of its login, or up to a "Query", a "Sync" or a
/// "Terminate". `None` while its end is missing.
fn request_length(sent: &[u8], is_login: bool) -> Option<usize> {
    let length_at = |start: usize| {
        let (length, _) = sent.get(start..)?.split_first_chunk::<4>()?;
        let end = start.checked_add(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        (end <= sent.len()).then_some(end)
    };
    if is_login {
        return length_at(0);
    }
    let mut start = 0;
    loop {
        let kind = *sent.get(start)?;
        start = length_at(start + 1)?;
        if matches!(kind, b'Q' | b'S' | b'X') {
            return Some(start);
        }
    }
}

/// Whether a request closes a statement that its client needs no more, which it does at some time or other: whether alone
/// or together with its next request is chance.
fn is_close(request: &[u8]) -> bool {
    request.first() == Some(&b'C')
}

/// "Terminate", which asks for nothing.
fn is_goodbye(sent: &[u8]) -> bool {
    sent == framed(b'X', &[])
}

/// The server's side of a connection, as far as it tells what was changed.
#[derive(Debug, Default)]
struct Replies {
    unread: Vec<u8>,
    changed: bool,
    committed: bool,
    /// `I` outside a transaction, `T` in one, `E` in one that has failed; 0 before the login.
    status: u8,
}

impl Replies {
    /// The effect of a request, when its reply has ended.
    fn take_in(&mut self, bytes: &[u8]) -> Option<Effect> {
        self.unread.extend_from_slice(bytes);
        let mut effect = None;
        while let Some((kind, content)) = self.next() {
            match kind {
                // "CommandComplete"
                b'C' => {
                    let tag = String::from_utf8_lossy(&content);
                    let tag = tag.trim_end_matches('\0');
                    self.committed |= tag == "COMMIT";
                    let is_change = ["INSERT", "UPDATE", "DELETE"].iter().any(|change| tag.starts_with(change));
                    self.changed |= is_change && !tag.ends_with(" 0");
                }
                // "ReadyForQuery"
                b'Z' => {
                    self.status = content.first().copied().unwrap_or_default();
                    effect = Some(match (self.committed, self.changed && self.status == b'I') {
                        (true, _) => Effect::Commit,
                        (false, true) => Effect::Statement,
                        (false, false) => Effect::None,
                    });
                    (self.committed, self.changed) = (false, false);
                }
                _ => {}
            }
        }
        effect
    }

    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let (kind, rest) = self.unread.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let content = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?.checked_sub(4)?)?.to_vec();
        let kind = *kind;
        self.unread.drain(..5 + content.len());
        Some((kind, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(tag: &str, status: u8) -> Vec<u8> {
        [framed(b'C', format!("{tag}\0").as_bytes()), framed(b'Z', &[status])].concat()
    }

    #[test]
    fn a_reply_tells_what_was_changed() {
        for (tag, status, effect) in [
            ("INSERT 0 1", b'I', Effect::Statement),
            ("INSERT 0 0", b'I', Effect::None),
            ("UPDATE 2", b'T', Effect::None),
            ("DELETE 1", b'I', Effect::Statement),
            ("SELECT 7", b'I', Effect::None),
            ("BEGIN", b'T', Effect::None),
            ("COMMIT", b'I', Effect::Commit),
            ("ROLLBACK", b'I', Effect::None),
        ] {
            assert_eq!(Replies::default().take_in(&reply(tag, status)), Some(effect), "{tag}");
        }
    }

    #[test]
    fn what_a_client_sends_is_taken_apart() {
        let execute = [framed(b'B', b"x"), framed(b'E', b"x"), framed(b'S', b"")].concat();
        let close = [framed(b'C', b"x"), framed(b'S', b"")].concat();
        for request in [&execute, &close, &framed(b'Q', b"COMMIT\0"), &framed(b'X', b"")] {
            let two = [&request[..], &execute].concat();
            assert_eq!(request_length(&two, false), Some(request.len()));
            assert_eq!(is_close(request), *request == close);
            for end in 0..request.len() {
                assert_eq!(request_length(&request[..end], false), None, "{end}");
            }
        }
        assert_eq!(request_length(&[0, 0, 0, 8, 0, 3, 0, 0], true), Some(8));
        assert_eq!(request_length(&[0, 0, 0, 8, 0, 3, 0], true), None);
    }

    #[test]
    fn a_reply_may_arrive_in_pieces() {
        let mut replies = Replies::default();
        let both = [reply("INSERT 0 1", b'I'), reply("SELECT 1", b'I')].concat();
        let mut effects = Vec::new();
        for byte in &both {
            effects.extend(replies.take_in(&[*byte]));
        }
        assert_eq!(effects, [Effect::Statement, Effect::None]);
    }
}
