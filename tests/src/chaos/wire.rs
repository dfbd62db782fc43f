//! A line between two parts of the shop: every connection goes through it and can be cut, held up, or answered by it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// How a line behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Everything passes.
    Open,
    /// Connections are taken and closed.
    Refuse,
    /// Nothing passes, and no connection ends.
    Silence,
    /// Every piece waits so long.
    Slow(Duration),
    /// Every HTTP request is answered with this status, here.
    Answer(u16),
}

#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    /// Connections of an older generation are dead.
    generation: u64,
    since: Instant,
}

/// One line. It ends with its owner.
pub(crate) struct Wire {
    address: SocketAddr,
    state: watch::Sender<State>,
    _listening: AbortOnDropHandle<()>,
}

struct Ends {
    targets: Vec<SocketAddr>,
    next: AtomicUsize,
}

impl Wire {
    /// A line on a port of its own to the first of these that takes a connection, in turn.
    pub(crate) async fn to(targets: &[SocketAddr]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { mode: Mode::Open, generation: 0, since: Instant::now() };
        let (sender, receiver) = watch::channel(state);
        let ends = Arc::new(Ends { targets: targets.to_vec(), next: AtomicUsize::new(0) });
        let listening = TaskTracker::new().spawn(listen(listener, ends, receiver));
        Self { address, state: sender, _listening: AbortOnDropHandle::new(listening) }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it behaves so. Connections that are open are cut unless they can go on in the new mode.
    pub(crate) fn set(&self, mode: Mode) {
        self.state.send_modify(|state| {
            state.mode = mode;
            state.since = Instant::now();
            if matches!(mode, Mode::Refuse | Mode::Answer(_)) {
                state.generation += 1;
            }
        });
    }

    /// Every connection that is open breaks; new ones pass.
    pub(crate) fn cut(&self) {
        self.state.send_modify(|state| {
            state.generation += 1;
            state.since = Instant::now();
        });
    }

    /// For how long everything has passed undisturbed; nothing while something is wrong.
    pub(crate) fn open_for(&self) -> Option<Duration> {
        let state = self.state.borrow();
        (state.mode == Mode::Open).then(|| state.since.elapsed())
    }
}

async fn listen(listener: TcpListener, ends: Arc<Ends>, state: watch::Receiver<State>) {
    let connections = TaskTracker::new();
    loop {
        // Too many open files, perhaps: it is over in a moment.
        let Ok((near, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (ends, mut state) = (ends.clone(), state.clone());
        connections.spawn(async move {
            let born = state.borrow_and_update().generation;
            let mut dead = state.clone();
            tokio::select! {
                () = serve(near, &ends, state) => {}
                _ = dead.wait_for(|state| state.generation != born) => {}
            }
        });
    }
}

async fn serve(near: TcpStream, ends: &Ends, state: watch::Receiver<State>) {
    let mode = state.borrow().mode;
    match mode {
        Mode::Refuse => {}
        Mode::Answer(status) => answer(near, status).await,
        Mode::Open | Mode::Silence | Mode::Slow(_) => {
            let Some(far) = ends.connect().await else { return };
            // A delay that comes from waiting for more to send is not ours to add.
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::join!(pass(near_in, far_out, state.clone()), pass(far_in, near_out, state.clone()));
        }
    }
}

impl Ends {
    async fn connect(&self) -> Option<TcpStream> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        for turn in 0..self.targets.len() {
            let target = self.targets[first.wrapping_add(turn) % self.targets.len()];
            if let Ok(stream) = TcpStream::connect(target).await {
                return Some(stream);
            }
        }
        None
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) {
    let mut piece = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        if state.wait_for(|state| state.mode != Mode::Silence).await.is_err() {
            return;
        }
        let mode = state.borrow().mode;
        if let Mode::Slow(delay) = mode {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}

/// What a gateway says when nobody behind it does.
async fn answer(mut near: TcpStream, status: u16) {
    const READ_MOST: Duration = Duration::from_secs(5);
    let page = "<html><body>out of order</body></html>";
    let mut head = Vec::new();
    let mut piece = vec![0; 16 << 10];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < 64 << 10 {
        match near.read(&mut piece).await {
            Ok(length @ 1..) => head.extend_from_slice(&piece[..length]),
            Ok(_) | Err(_) => return,
        }
    }
    let location = if status == 301 { "location: /elsewhere\r\n" } else { "" };
    let text = format!(
        "HTTP/1.1 {status} Out Of Order\r\ncontent-type: text/html\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n{page}",
        page.len()
    );
    if near.write_all(text.as_bytes()).await.is_err() {
        return;
    }
    let _ = near.shutdown().await;
    // A body that is still coming is read, or the client sees a broken connection instead of the answer.
    let rest = async { while matches!(near.read(&mut piece).await, Ok(1..)) {} };
    let _ = tokio::time::timeout(READ_MOST, rest).await;
}
