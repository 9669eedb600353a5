// SPDX-License-Identifier: MIT
//! Two tokio tasks hand a number to and fro through two channels of one item each; a round trip.
//!
//! tasks N    wherever the scheduler puts them
//! apart N    each in a runtime, thread and CPU of its own
use std::future::Future;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{channel, Receiver, Sender};

async fn serve(trips: u64, there: Sender<u64>, mut back: Receiver<u64>) -> Duration {
    let began = Instant::now();
    for i in 0..trips {
        there.send(i).await.unwrap();
        assert_eq!(back.recv().await, Some(i), "what comes back is what was sent");
    }
    began.elapsed()
}

async fn give_back(mut there: Receiver<u64>, back: Sender<u64>) {
    while let Some(number) = there.recv().await {
        back.send(number).await.unwrap();
    }
}

async fn together(trips: u64) -> Duration {
    let (to, there) = channel(1);
    let (from, back) = channel(1);
    tokio::spawn(give_back(there, from));
    tokio::spawn(serve(trips, to, back)).await.unwrap()
}

/// Runs a player in a thread with a CPU and a runtime of its own.
fn play<F>(player: usize, game: F) -> std::thread::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    std::thread::spawn(move || {
        bench::bind(player);
        Builder::new_current_thread().build().unwrap().block_on(game)
    })
}

fn apart(trips: u64) -> Duration {
    let (to, there) = channel(1);
    let (from, back) = channel(1);
    let other = play(1, give_back(there, from));
    let took = play(0, serve(trips, to, back)).join().unwrap();
    other.join().unwrap();
    took
}

fn main() {
    let trips = bench::argument(2, "N");
    let took = match std::env::args().nth(1).as_deref() {
        Some("apart") => apart(trips),
        _ => bench::run(together(trips)),
    };
    bench::print(&[("ns", took.as_nanos() as f64 / trips as f64)]);
}
