//! Where a step stands still before and after every call of a port, so that a test decides who goes on and who dies.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::Poll;

use domain::{Chance, SeededChance};
use store::StoreError;

/// A step in flight.
pub(crate) type Actor = Pin<Box<dyn Future<Output = ()>>>;

/// What came of letting an actor go on to its next stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    /// It stands before or after a call.
    Stopped,
    /// It is over.
    Ended,
}

/// What is to happen at one numbered stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// The process dies there.
    Kill,
    /// The database says that it is away; only at a stop beside a call of the store.
    Unavailable,
    /// The database refuses the statement; as above.
    Internal,
}

#[derive(Default)]
struct State {
    /// Closed while an actor is polled; everybody else passes freely.
    closed: bool,
    granted: bool,
    stopped: bool,
    /// Every stop so far, in order.
    trail: Vec<&'static str>,
    planned: Option<(u64, Harm)>,
    harmed: Option<&'static str>,
    weather: Option<(SeededChance, f64)>,
}

impl State {
    fn stops(&self) -> u64 {
        self.trail.len() as u64
    }
}

/// The gate that all ports of one world share.
#[derive(Default)]
pub(crate) struct Gate(Mutex<State>);

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Stops here until the driver lets the actor go on.
    pub(crate) async fn stop(&self, at: &'static str) {
        poll_fn(|_| {
            let mut state = self.lock();
            if !state.closed || std::mem::take(&mut state.granted) {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut state.stopped, true) {
                state.trail.push(at);
            }
            Poll::Pending
        })
        .await;
    }

    /// The same beside a call of the store, which may fail there.
    pub(crate) async fn stop_at_store(&self, at: &'static str) -> Result<(), StoreError> {
        let in_step = self.lock().closed;
        self.stop(at).await;
        if !in_step {
            return Ok(());
        }
        let mut state = self.lock();
        let harm = match state.planned {
            Some((number, harm)) if number == state.stops() && harm != Harm::Kill => {
                state.planned = None;
                state.harmed = Some(at);
                Some(harm)
            }
            _ => state
                .weather
                .as_ref()
                .and_then(|(chance, rate)| (chance.fraction() < *rate).then_some(Harm::Internal)),
        };
        match harm {
            Some(Harm::Unavailable) => Err(StoreError::Unavailable("the test's weather".into())),
            Some(_) => Err(StoreError::Internal("the test's weather".into())),
            None => Ok(()),
        }
    }

    /// Lets an actor run to its next stop. Nothing else passes the gate meanwhile.
    pub(crate) async fn go_on(&self, actor: &mut Actor) -> Went {
        self.lock().granted = true;
        let went = poll_fn(|cx| {
            self.lock().closed = true;
            let polled = actor.as_mut().poll(cx);
            let mut state = self.lock();
            state.closed = false;
            match polled {
                Poll::Ready(()) => Poll::Ready(Went::Ended),
                Poll::Pending if std::mem::take(&mut state.stopped) => Poll::Ready(Went::Stopped),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        self.lock().granted = false;
        went
    }

    /// Lets an actor run to its end; false if it died at the planned stop.
    pub(crate) async fn finish(&self, mut actor: Actor) -> bool {
        while self.go_on(&mut actor).await == Went::Stopped {
            let mut state = self.lock();
            if state.planned == Some((state.stops(), Harm::Kill)) {
                state.planned = None;
                state.harmed = state.trail.last().copied();
                return false;
            }
        }
        true
    }

    /// How many stops there were so far.
    pub(crate) fn stops(&self) -> u64 {
        self.lock().stops()
    }

    /// Every stop so far, in order.
    pub(crate) fn trail(&self) -> Vec<&'static str> {
        self.lock().trail.clone()
    }

    /// Plans harm at the stop of this number.
    pub(crate) fn plan(&self, number: u64, harm: Harm) {
        self.lock().planned = Some((number, harm));
    }

    /// The stop at which the planned harm was done, if it was.
    pub(crate) fn harmed(&self) -> Option<&'static str> {
        self.lock().harmed
    }

    /// From now on calls of the store inside steps fail with this probability.
    pub(crate) fn set_weather(&self, weather: Option<(SeededChance, f64)>) {
        self.lock().weather = weather;
    }
}
