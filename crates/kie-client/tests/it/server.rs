//! Servers that say what a test tells them to say, and remember what they were asked.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::Response,
};
use kie_client::{Client, RetryPolicy};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

pub(crate) const KEY: &str = "test-key-4711";

/// One answer that a [`Canned`] server gives.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(body: &str) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn new(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json;charset=UTF-8".to_owned())];
        Self { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// One request that a [`Canned`] server received.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// An HTTP server with a queue of answers; the last one is given for ever.
#[derive(Clone)]
pub(crate) struct Canned {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<CannedState>>,
}

#[derive(Default)]
struct CannedState {
    replies: VecDeque<Reply>,
    asked: Vec<Asked>,
}

impl Canned {
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let state =
            Arc::new(Mutex::new(CannedState { replies: replies.into_iter().collect(), asked: Vec::new() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, state }
    }

    pub(crate) fn say(&self, reply: Reply) {
        self.state.lock().unwrap().replies = VecDeque::from([reply]);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    pub(crate) fn client(&self) -> Client {
        client(self.address, RetryPolicy::never())
    }
}

async fn answer(
    State(state): State<Arc<Mutex<CannedState>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = state.lock().unwrap();
    state.asked.push(Asked { method, uri, headers, body });
    let reply =
        if state.replies.len() > 1 { state.replies.pop_front() } else { state.replies.front().cloned() };
    let reply = reply.unwrap();
    let mut response = Response::builder().status(StatusCode::from_u16(reply.status).unwrap());
    for (name, value) in reply.headers {
        // The server frames its answers itself: chunked, without a length, as the provider does.
        if !matches!(name.as_str(), "transfer-encoding" | "connection") {
            response = response.header(name, value);
        }
    }
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(reply.body)]);
    response.body(Body::from_stream(chunks)).unwrap()
}

/// What a [`Raw`] server does with a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Habit {
    /// Resets the connection before reading anything.
    ResetAtOnce,
    /// Reads the whole request, then resets.
    ResetAfterBody,
    /// Reads the whole request, then closes without a byte.
    CloseAfterBody,
    /// Reads the whole request and stays silent.
    Silence,
    /// Reads the whole request and writes these bytes, then closes.
    Write(&'static str),
    /// Reads the whole request and writes these bytes, then keeps the connection silently.
    WriteAndHold(&'static str),
    /// Reads the whole request and writes a head and more body than anybody should read.
    Flood,
}

/// A TCP server that counts connections and complete requests.
pub(crate) struct Raw {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Raw {
    pub(crate) async fn start(habit: Habit) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (connections.clone(), requests.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counters.0.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, habit, counters.1.clone()));
            }
        });
        Self { address, connections, requests }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn serve(mut stream: TcpStream, habit: Habit, requests: Arc<AtomicUsize>) {
    if matches!(habit, Habit::ResetAtOnce) {
        stream.set_zero_linger().unwrap();
        return;
    }
    while read_request(&mut stream).await {
        requests.fetch_add(1, Ordering::SeqCst);
        match habit {
            Habit::ResetAtOnce | Habit::ResetAfterBody => return stream.set_zero_linger().unwrap(),
            Habit::CloseAfterBody => return,
            Habit::Silence => std::future::pending().await,
            Habit::Write(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                return;
            }
            Habit::WriteAndHold(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            Habit::Flood => return flood(&mut stream).await,
        }
    }
}

async fn flood(stream: &mut TcpStream) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 67108864\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b' '; 64 * 1024];
    for _ in 0..1024 {
        if stream.write_all(&piece).await.is_err() {
            return;
        }
    }
}

/// Reads one request with a stated length; `false` when the client went away first.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut request = Vec::new();
    loop {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return false;
        }
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
            return true;
        }
    }
}

pub(crate) fn url(address: SocketAddr) -> Url {
    format!("http://{address}").parse().unwrap()
}

pub(crate) fn client(address: SocketAddr, retry: RetryPolicy) -> Client {
    Client::builder(KEY).base_url(url(address)).upload_url(url(address)).retry(retry).build().unwrap()
}
