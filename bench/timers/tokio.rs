// SPDX-License-Identifier: MIT
//! N tokio tasks each sleep until a random moment between SPAN and five SPANs of milliseconds from
//! the start, and say how late they woke.
use std::time::Duration;
use tokio::time::{sleep_until, Instant};

async fn sleep_once(moment: Instant) -> u64 {
    sleep_until(moment).await;
    let now = Instant::now();
    assert!(now >= moment, "nobody wakes early");
    (now - moment).as_nanos() as u64
}

async fn root(n: u64, span: u64) -> Vec<u64> {
    let (mut seed, began) = (1, Instant::now());
    let mut sleepers = Vec::with_capacity(n as usize);
    for _ in 0..n {
        let after = Duration::from_nanos(span + bench::random(&mut seed) % (4 * span));
        sleepers.push(tokio::spawn(sleep_once(began + after)));
    }
    let mut late = Vec::with_capacity(n as usize);
    for sleeper in sleepers {
        late.push(sleeper.await.unwrap());
    }
    late
}

fn main() {
    let n = bench::argument(1, "N");
    let span = bench::argument(2, "SPAN") * 1_000_000;
    let mut late = bench::run(root(n, span));
    let p50 = bench::percentile(&mut late, 0.5);
    bench::print(&[("p50_ms", p50 / 1e6), ("p99_ms", bench::percentile(&mut late, 0.99) / 1e6)]);
}
