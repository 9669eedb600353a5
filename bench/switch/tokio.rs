// SPDX-License-Identifier: MIT
//! Two tokio tasks yield to each other; with one worker each yield is a switch.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

// Atomic only because Rust asks for it: relaxed loads and stores are plain ones.
static TAKEN: AtomicU64 = AtomicU64::new(0);
static REPEATED: AtomicU64 = AtomicU64::new(0);
static HERE: AtomicU64 = AtomicU64::new(0);
static LAST: AtomicU64 = AtomicU64::new(u64::MAX);

fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed) + n, Relaxed);
}

async fn play(player: u64, yields: u64) -> (Instant, Instant) {
    add(&HERE, 1);
    while HERE.load(Relaxed) < 2 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    for _ in 0..yields {
        add(&TAKEN, 1);
        add(&REPEATED, (LAST.load(Relaxed) == player) as u64);
        LAST.store(player, Relaxed);
        tokio::task::yield_now().await;
    }
    (began, Instant::now())
}

fn main() {
    let yields = bench::argument(1, "SWITCHES") / 2;
    let runtime = bench::runtime();
    let (a, b) = runtime.block_on(async {
        let a = tokio::spawn(play(0, yields));
        let b = tokio::spawn(play(1, yields));
        (a.await.unwrap(), b.await.unwrap())
    });
    let taken = TAKEN.load(Relaxed);
    assert_eq!(taken, 2 * yields, "every turn is taken");
    assert!(REPEATED.load(Relaxed) <= 1 + taken / 20, "the players alternate");
    let took = a.1.max(b.1) - a.0.min(b.0);
    bench::print(&[("ns", took.as_nanos() as f64 / taken as f64)]);
}
