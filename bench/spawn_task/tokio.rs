// SPDX-License-Identifier: MIT
//! Starts and finishes N tokio tasks, one alive at a time; first by yielding until it has run, then
//! by awaiting its handle.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

static RAN: AtomicU64 = AtomicU64::new(0);

async fn child() {
    RAN.store(RAN.load(Relaxed) + 1, Relaxed);
}

async fn start_and_yield(n: u64) {
    for i in 1..=n {
        tokio::spawn(child());
        while RAN.load(Relaxed) < i {
            tokio::task::yield_now().await;
        }
    }
}

async fn start_and_join(n: u64) {
    for _ in 0..n {
        tokio::spawn(child()).await.unwrap();
    }
}

/// Nanoseconds a child since then, and forgets that they ran.
fn each(n: u64, began: Instant) -> f64 {
    let took = began.elapsed();
    assert_eq!(RAN.swap(0, Relaxed), n, "every child ran");
    took.as_nanos() as f64 / n as f64
}

async fn root(n: u64) -> (f64, f64) {
    let began = Instant::now();
    start_and_yield(n).await;
    let yielded = each(n, began);
    let began = Instant::now();
    start_and_join(n).await;
    (yielded, each(n, began))
}

fn main() {
    let (yielded, joined) = bench::run(root(bench::argument(1, "N")));
    bench::print(&[("yield_ns", yielded), ("join_ns", joined)]);
}
