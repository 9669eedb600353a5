// SPDX-License-Identifier: MIT
//! Starts N tokio tasks that all wait for one notification, then gives it and waits for them to
//! end.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;

static PARKED: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

async fn wait(over: Arc<Notify>) {
    let notified = over.notified();
    PARKED.fetch_add(1, Relaxed);
    notified.await;
    ENDED.fetch_add(1, Relaxed);
}

async fn root(n: u64) -> (f64, f64, f64) {
    let over = Arc::new(Notify::new());
    let (held, began) = (bench::memory_bytes(), Instant::now());
    let mut tasks = Vec::with_capacity(n as usize);
    for _ in 0..n {
        tasks.push(tokio::spawn(wait(over.clone())));
    }
    while PARKED.load(Relaxed) < n {
        tokio::task::yield_now().await;
    }
    let start = began.elapsed();
    let bytes = bench::memory_bytes() - held;
    let began = Instant::now();
    over.notify_waiters();
    for task in tasks {
        task.await.unwrap();
    }
    let end = began.elapsed();
    assert_eq!(ENDED.load(Relaxed), n, "every task ended");
    let each = 1.0 / n as f64;
    ((start + end).as_nanos() as f64 * each, start.as_nanos() as f64 * each, bytes * each)
}

fn main() {
    let (ns, start_ns, bytes) = bench::run(root(bench::argument(1, "N")));
    bench::print(&[("ns", ns), ("start_ns", start_ns), ("bytes", bytes)]);
}
