// SPDX-License-Identifier: MIT
//! N tokio tasks wait for a notification, which comes when standard input ends.
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use tokio::sync::Notify;

static PARKED: AtomicU64 = AtomicU64::new(0);

async fn wait(over: Arc<Notify>) {
    let notified = over.notified();
    PARKED.fetch_add(1, Relaxed);
    notified.await;
}

async fn root(n: u64) {
    let over = Arc::new(Notify::new());
    let tasks: Vec<_> = (0..n).map(|_| tokio::spawn(wait(over.clone()))).collect();
    while PARKED.load(Relaxed) < n {
        tokio::task::yield_now().await;
    }
    println!("ready");
    let read = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]).unwrap());
    assert_eq!(read.await.unwrap(), 0, "standard input ends");
    over.notify_waiters();
    for task in tasks {
        task.await.unwrap();
    }
}

fn main() {
    bench::run(root(bench::argument(1, "N")));
}
