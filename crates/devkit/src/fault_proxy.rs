//! A proxy in front of a real server that does to connections what networks and overloaded servers do to them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How much is passed on at once: so little that a cut falls into the middle of most bodies.
const PIECE_BYTES: usize = 4 * 1024;

/// A proxy on loopback. Without trouble it passes everything on; it ends when it is dropped.
///
/// It knows nothing of what it passes on: a connection is cut after a number of bytes, be that in the middle of a
/// request, between a request and its answer, or in the middle of that. Only a refusal for lack of capacity is an answer
/// of its own.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// What a proxy has done to connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Troubles {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections whose answers were late.
    pub slowed: u64,
    /// Connections that were reset before a byte was read.
    pub refused: u64,
    /// Connections that were reset in the middle of what the client sent.
    pub cut_requests: u64,
    /// Connections that were reset before or in the middle of an answer.
    pub cut_answers: u64,
    /// Connections whose requests were read and never answered.
    pub silent: u64,
    /// Requests that were answered by 503 in the server's place.
    pub throttled: u64,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    seed: u64,
    is_trouble: AtomicBool,
    /// How many of the next connections are answered by 503.
    burst: AtomicU64,
    connections: AtomicU64,
    slowed: AtomicU64,
    refused: AtomicU64,
    cut_requests: AtomicU64,
    cut_answers: AtomicU64,
    silent: AtomicU64,
    throttled: AtomicU64,
}

/// What becomes of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Refused,
    Throttled,
    Silent,
    /// Passed on with a pause before each piece of an answer, until either side has sent so many bytes.
    Passed {
        pause: Duration,
        request_bytes: u64,
        answer_bytes: u64,
    },
}

impl FaultProxy {
    /// A proxy in front of a server. The same seed gives the n-th connection the same fate.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(upstream: SocketAddr, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(upstream, seed));
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                // A connection that breaks is nobody's fault but ours.
                tokio::spawn(async move { serve(connection, &shared).await.unwrap_or_default() });
            }
        });
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins or ends the trouble, for connections that come from now on.
    pub fn make_trouble(&self, is_trouble: bool) {
        self.shared.is_trouble.store(is_trouble, Ordering::Relaxed);
        if !is_trouble {
            self.shared.burst.store(0, Ordering::Relaxed);
        }
    }

    /// What has been done so far.
    pub fn troubles(&self) -> Troubles {
        let Shared { connections, slowed, refused, cut_requests, cut_answers, silent, throttled, .. } = &*self.shared;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Troubles {
            connections: read(connections),
            slowed: read(slowed),
            refused: read(refused),
            cut_requests: read(cut_requests),
            cut_answers: read(cut_answers),
            silent: read(silent),
            throttled: read(throttled),
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Shared {
    fn new(upstream: SocketAddr, seed: u64) -> Self {
        Self {
            upstream,
            seed,
            is_trouble: AtomicBool::new(false),
            burst: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            slowed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            cut_requests: AtomicU64::new(0),
            cut_answers: AtomicU64::new(0),
            silent: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
        }
    }

    fn fate(&self) -> Fate {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let whole = Fate::Passed { pause: Duration::ZERO, request_bytes: u64::MAX, answer_bytes: u64::MAX };
        if !self.is_trouble.load(Ordering::Relaxed) {
            return whole;
        }
        let less = |left: u64| left.checked_sub(1);
        if self.burst.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return Fate::Throttled;
        }
        let mut random = Random(self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        // However well it goes, a connection is cut in the end, so that there are always new ones.
        let long = 500 + random.below(12_000);
        let passed = |pause, request_bytes, answer_bytes| Fate::Passed { pause, request_bytes, answer_bytes };
        match random.below(100) {
            0..5 => Fate::Refused,
            5..10 => {
                self.burst.store(1 + random.below(6), Ordering::Relaxed);
                Fate::Throttled
            }
            10..13 => Fate::Silent,
            13..25 => passed(Duration::from_millis(random.below(60)), u64::MAX, long),
            25..50 => passed(Duration::ZERO, random.below(6_000), u64::MAX),
            50..70 => passed(Duration::ZERO, u64::MAX, random.below(3_000)),
            _ => passed(Duration::ZERO, u64::MAX, long),
        }
    }
}

async fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let count = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
    match shared.fate() {
        Fate::Refused => {
            count(&shared.refused);
            client.set_zero_linger()
        }
        Fate::Throttled => {
            count(&shared.throttled);
            throttle(&mut client).await
        }
        Fate::Silent => {
            count(&shared.silent);
            tokio::io::copy(&mut client, &mut tokio::io::sink()).await.map(drop)
        }
        Fate::Passed { pause, request_bytes, answer_bytes } => {
            if !pause.is_zero() {
                count(&shared.slowed);
            }
            let mut server = TcpStream::connect(shared.upstream).await?;
            let cut = {
                let (mut from_client, mut to_client) = client.split();
                let (mut from_server, mut to_server) = server.split();
                tokio::select! {
                    is_cut = pass(&mut from_client, &mut to_server, request_bytes, Duration::ZERO) =>
                        is_cut?.then_some(&shared.cut_requests),
                    is_cut = pass(&mut from_server, &mut to_client, answer_bytes, pause) =>
                        is_cut?.then_some(&shared.cut_answers),
                }
            };
            if let Some(cut) = cut {
                count(cut);
                client.set_zero_linger()?;
                server.set_zero_linger()?;
            }
            Ok(())
        }
    }
}

/// Passes on at most so many bytes. Whether there were more.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut left: u64,
    pause: Duration,
) -> io::Result<bool> {
    let mut buffer = [0; PIECE_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(false);
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        let passed = usize::try_from(left).unwrap_or(usize::MAX).min(count);
        to.write_all(&buffer[..passed]).await?;
        if passed < count {
            return Ok(true);
        }
        left -= passed as u64;
    }
}

/// Reads a request and answers it as an overloaded server does.
async fn throttle(client: &mut TcpStream) -> io::Result<()> {
    let mut seen = Vec::new();
    let mut buffer = [0; PIECE_BYTES];
    let end = loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        seen.extend_from_slice(&buffer[..count]);
        if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<u64>().ok());
    let missing = length.unwrap_or_default().saturating_sub((seen.len() - end) as u64);
    tokio::io::copy(&mut (&mut *client).take(missing), &mut tokio::io::sink()).await?;
    let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>later</Message></Error>";
    let answer = format!(
        "HTTP/1.1 503 Slow Down\r\nretry-after: 0\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{}",
        body.len(),
        if head.starts_with("head ") { "" } else { body }
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}

/// `SplitMix64` (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::{FaultProxy, Troubles};

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = connection.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn ask(proxy: &FaultProxy, request: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut connection = TcpStream::connect(proxy.address()).await?;
        connection.write_all(request).await?;
        let mut answer = vec![0; request.len()];
        tokio::time::timeout(std::time::Duration::from_secs(2), connection.read_exact(&mut answer)).await??;
        Ok(answer)
    }

    #[tokio::test]
    async fn without_trouble_everything_arrives() {
        let proxy = FaultProxy::start(echo().await, 1).await.unwrap();
        let request = vec![7; 300_000];
        assert_eq!(ask(&proxy, &request).await.unwrap(), request);
        assert_eq!(proxy.troubles(), Troubles { connections: 1, ..Troubles::default() });
    }

    #[tokio::test]
    async fn with_trouble_everything_happens_and_it_ends_when_it_is_told_to() {
        let proxy = FaultProxy::start(echo().await, 1).await.unwrap();
        proxy.make_trouble(true);
        let request = [b"GET / HTTP/1.1\r\ncontent-length: 5000\r\n\r\n".to_vec(), vec![7; 5000]].concat();
        let mut whole = 0;
        let everything = |done: Troubles| {
            [done.slowed, done.refused, done.cut_requests, done.cut_answers, done.silent, done.throttled]
        };
        for _ in 0..2_000 {
            whole += u32::from(ask(&proxy, &request).await.is_ok_and(|answer| answer == request));
            if whole > 20 && everything(proxy.troubles()).iter().all(|count| *count > 0) {
                break;
            }
        }
        let done = proxy.troubles();
        assert!(whole > 20 && everything(done).iter().all(|count| *count > 0), "{whole}: {done:?}");
        proxy.make_trouble(false);
        assert_eq!(ask(&proxy, &request).await.unwrap(), request);
    }
}
