// SPDX-License-Identifier: MIT
//! What the tokio sides share: harness.h, said in Rust, and how their runtime is made.

use std::future::Future;

/// The command line's i-th word as a number of at least 1.
pub fn argument(i: usize, name: &str) -> u64 {
    let word = std::env::args().nth(i).unwrap_or_else(|| panic!("{} is missing", name));
    let n = word.parse().unwrap_or(0);
    assert!(n >= 1, "{} must be a number of at least 1", name);
    n
}

/// How many threads run tasks: TOKIO_WORKERS, else as many as there are CPUs.
fn workers() -> usize {
    match std::env::var("TOKIO_WORKERS") {
        Ok(n) => n.parse().expect("TOKIO_WORKERS must be a number"),
        Err(_) => std::thread::available_parallelism().map_or(1, |n| n.get()),
    }
}

/// With one worker the runtime of one thread, which is the faster one then.
pub fn runtime() -> tokio::runtime::Runtime {
    let mut builder = match workers() {
        1 => tokio::runtime::Builder::new_current_thread(),
        n => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(n);
            builder
        }
    };
    builder.enable_all().build().expect("tokio's runtime")
}

/// Runs a task as its users do: spawned, since what block_on() polls itself is slower.
pub fn run<F>(task: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = runtime();
    runtime.block_on(runtime.spawn(task)).expect("the task panicked")
}

/// Prints the figures as one JSON object.
pub fn print(figures: &[(&str, f64)]) {
    let words: Vec<String> =
        figures.iter().map(|(name, value)| format!("\"{}\": {:.4}", name, value)).collect();
    println!("{{{}}}", words.join(", "));
}

/// What this process holds: resident memory and page tables, in bytes.
pub fn memory_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc/self/status");
    let kib: u64 = status
        .lines()
        .filter(|line| line.starts_with("VmRSS:") || line.starts_with("VmPTE:"))
        .map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap())
        .sum();
    (kib * 1024) as f64
}

extern "C" {
    fn getpid() -> i32;
    fn sched_getaffinity(pid: i32, bytes: usize, cpus: *mut u8) -> i32;
    fn sched_setaffinity(pid: i32, bytes: usize, cpus: *const u8) -> i32;
}

/// Binds the calling thread to the i-th CPU that the process may use, counted round and round. The
/// main thread tells which CPUs those are, so it must not be bound itself.
pub fn bind(i: usize) {
    let (mut all, mut one) = ([0u8; 128], [0u8; 128]);
    assert_eq!(unsafe { sched_getaffinity(getpid(), 128, all.as_mut_ptr()) }, 0);
    let cpus: Vec<usize> = (0..1024).filter(|c| all[c / 8] >> (c % 8) & 1 == 1).collect();
    let cpu = cpus[i % cpus.len()];
    one[cpu / 8] = 1 << (cpu % 8);
    assert_eq!(unsafe { sched_setaffinity(0, 128, one.as_ptr()) }, 0);
}

/// The next of the pseudo-random numbers that are the same in every language (splitmix64).
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e3779b97f4a7c15);
    let mut x = *state;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d049bb133111eb);
    x ^ (x >> 31)
}

/// Sorts the values and returns the one that share of them do not exceed.
pub fn percentile(values: &mut [u64], share: f64) -> f64 {
    values.sort_unstable();
    let i = (share * values.len() as f64) as usize;
    values[i.min(values.len() - 1)] as f64
}
