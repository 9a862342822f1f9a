use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done with one request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These bytes are sent, and the connection is closed.
    Raw(Vec<u8>),
    /// Nothing is ever sent.
    Silence,
    /// These bytes are sent, and then nothing, with the connection open.
    Stall(Vec<u8>),
    /// These bytes are sent, and then others again and again, a few each 150 ms.
    Drip { at_once: Vec<u8>, then: &'static [u8] },
    /// The connection is reset after the head of the request.
    Reset,
}

impl Reply {
    /// A whole answer.
    pub(crate) fn new(status: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        for (name, value) in headers {
            text = format!("{text}{name}: {value}\r\n");
        }
        Self::Raw(format!("{text}\r\n{body}").into_bytes())
    }

    pub(crate) fn error(status: &str, code: &str) -> Self {
        Self::new(status, &[], &format!("<Error><Code>{code}</Code><Message>m</Message></Error>"))
    }
}

/// A server that answers requests in the order of a script, the last reply again and again, and notes their heads.
pub(crate) struct ScriptedServer {
    pub(crate) endpoint: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ScriptedServer {
    pub(crate) async fn start(script: Vec<Reply>) -> Self {
        let number = AtomicUsize::new(0);
        Self::answering(move |_| {
            let number = number.fetch_add(1, Ordering::SeqCst);
            script[number.min(script.len() - 1)].clone()
        })
        .await
    }

    /// A server that looks at the head of each request, in lower case, before it answers.
    pub(crate) async fn answering(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (heads.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, answer.clone(), noted.clone()));
            }
        });
        Self { endpoint, heads }
    }

    /// Waits until a request of this kind has come.
    pub(crate) async fn until_asked(&self, start: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.heads().iter().any(|head| head.starts_with(start)) {
            assert!(Instant::now() < deadline, "no {start} in {:#?}", self.heads());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve<A: Fn(&str) -> Reply>(mut connection: TcpStream, answer: Arc<A>, heads: Arc<Mutex<Vec<String>>>) {
    let Some((head, missing)) = head_of(&mut connection).await else { return };
    let reply = answer(&head);
    heads.lock().unwrap().push(head);
    if let Reply::Reset = reply {
        connection.set_zero_linger().unwrap();
        return;
    }
    let mut body = vec![0; missing];
    let _ = connection.read_exact(&mut body).await;
    match reply {
        Reply::Raw(bytes) => {
            let _ = connection.write_all(&bytes).await;
            let _ = connection.shutdown().await;
        }
        Reply::Stall(bytes) => {
            let _ = connection.write_all(&bytes).await;
            std::future::pending::<()>().await;
        }
        Reply::Drip { at_once, then } => {
            let mut sent = connection.write_all(&at_once).await;
            while sent.is_ok() {
                tokio::time::sleep(Duration::from_millis(150)).await;
                sent = connection.write_all(then).await;
            }
        }
        Reply::Silence => std::future::pending().await,
        Reply::Reset => {}
    }
}

/// The head of a request, and how many bytes of its body are still to come.
async fn head_of(connection: &mut TcpStream) -> Option<(String, usize)> {
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = connection.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        seen.extend_from_slice(&buffer[..count]);
        if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            return Some((head, length.saturating_sub(seen.len() - end - 4)));
        }
    }
}
