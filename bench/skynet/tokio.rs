// SPDX-License-Identifier: MIT
//! Skynet: a tree of tokio tasks, ten children each, LEAVES leaves (a power of ten).
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

const CHILDREN: usize = 10;

fn grow(first: u64, leaves: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let each = leaves / CHILDREN as u64;
        let mut children = Vec::with_capacity(CHILDREN);
        for i in 0..CHILDREN as u64 {
            children.push(tokio::spawn(grow(first + i * each, each)));
        }
        let mut sum = 0;
        for child in children {
            sum += child.await.unwrap();
        }
        sum
    })
}

fn main() {
    let leaves = bench::argument(1, "LEAVES");
    let runtime = bench::runtime();
    let began = Instant::now();
    let sum = runtime.block_on(async move { tokio::spawn(grow(0, leaves)).await.unwrap() });
    let took = began.elapsed();
    assert_eq!(sum, leaves * (leaves - 1) / 2, "the sum of all leaves' numbers");
    bench::print(&[("ms", took.as_secs_f64() * 1e3)]);
}
