// SPDX-License-Identifier: MIT
//! The lock benchmark with Rust's std::sync::Mutex: what body.h does, said in Rust.
//!
//! The counter is volatile and apart from the lock, as there; a MutexGuard's drop is the release.
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[repr(align(64))]
struct Apart<T>(T);

struct Shared {
    mutex: Apart<Mutex<()>>,
    count: Apart<UnsafeCell<u64>>,
    go: Apart<AtomicBool>,
    stop: AtomicBool,
}

// The counter is touched only under the mutex.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared {
    mutex: Apart(Mutex::new(())),
    count: Apart(UnsafeCell::new(0)),
    go: Apart(AtomicBool::new(false)),
    stop: AtomicBool::new(false),
};

#[inline(always)]
fn count() {
    let count = SHARED.count.0.get();
    unsafe { count.write_volatile(count.read_volatile() + 1) }
}

#[inline(always)]
fn work(rounds: u32) {
    let mut x: u64 = 1;
    for _ in 0..rounds {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1);
        unsafe { std::arch::asm!("/* {0} */", inout(reg) x, options(nostack, nomem)) }
    }
}

#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

fn ticks_per_ns() -> f64 {
    let (start, first) = (Instant::now(), ticks());
    while start.elapsed() < Duration::from_millis(5) {}
    (ticks() - first) as f64 / start.elapsed().as_nanos() as f64
}

fn bucket(ticks: u64) -> usize {
    if ticks < 16 {
        return ticks as usize;
    }
    let power = 63 - ticks.leading_zeros() as usize;
    (power - 3) * 16 + ((ticks >> (power - 4)) & 15) as usize
}

fn bucket_ticks(bucket: usize) -> u64 {
    if bucket < 16 {
        return bucket as u64;
    }
    (16 + bucket as u64 % 16) << (bucket / 16 - 1)
}

fn percentile(counts: &[u64], share: f64) -> f64 {
    let total: u64 = counts.iter().sum();
    let mut below = 0;
    for (i, n) in counts.iter().enumerate() {
        below += n;
        if below as f64 >= share * total as f64 {
            return bucket_ticks(i) as f64 / ticks_per_ns();
        }
    }
    0.0
}

fn uncontended(n: u64) {
    let start = Instant::now();
    for _ in 0..n {
        let guard = black_box(&SHARED).mutex.0.lock().unwrap();
        count();
        drop(guard);
    }
    println!("{{\"ns\": {:.4}}}", start.elapsed().as_nanos() as f64 / n as f64);
}

extern "C" {
    fn sched_getaffinity(pid: i32, bytes: usize, cpus: *mut u8) -> i32;
    fn sched_setaffinity(pid: i32, bytes: usize, cpus: *const u8) -> i32;
}

/// Binds the calling thread to the process's i-th CPU, counted round and round.
fn bind(i: u64) {
    let (mut all, mut one) = ([0u8; 128], [0u8; 128]);
    assert_eq!(unsafe { sched_getaffinity(0, 128, all.as_mut_ptr()) }, 0);
    let cpus: Vec<usize> = (0..1024).filter(|c| all[c / 8] >> (c % 8) & 1 == 1).collect();
    let cpu = cpus[i as usize % cpus.len()];
    one[cpu / 8] = 1 << (cpu % 8);
    assert_eq!(unsafe { sched_setaffinity(0, 128, one.as_ptr()) }, 0);
}

fn visit_often(i: u64, inside: u32, outside: u32) -> (u64, u64, Vec<u64>) {
    bind(i);
    let (mut visits, mut longest, mut counts) = (0u64, 0u64, vec![0u64; 61 * 16]);
    while !SHARED.go.0.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    while !SHARED.stop.load(Ordering::Relaxed) {
        let timed = visits % 8 == 0;
        let start = if timed { ticks() } else { 0 };
        let guard = SHARED.mutex.0.lock().unwrap();
        let end = if timed { ticks() } else { 0 };
        count();
        work(inside);
        drop(guard);
        visits += 1;
        if timed {
            let wait = end.wrapping_sub(start);
            counts[bucket(wait)] += 1;
            longest = longest.max(wait);
        }
        work(outside);
    }
    (visits, longest, counts)
}

fn contended(threads: u64, ms: u64, inside: u32, outside: u32) {
    let handles: Vec<_> =
        (0..threads).map(|i| std::thread::spawn(move || visit_often(i, inside, outside))).collect();
    let start = Instant::now();
    SHARED.go.0.store(true, Ordering::Release);
    std::thread::sleep(Duration::from_millis(ms));
    SHARED.stop.store(true, Ordering::Relaxed);
    let took = start.elapsed().as_nanos() as f64;
    let results: Vec<_> = handles.into_iter().map(|h| h.join().unwrap()).collect();
    let mut counts = vec![0u64; 61 * 16];
    for (_, _, theirs) in &results {
        counts.iter_mut().zip(theirs).for_each(|(a, b)| *a += b);
    }
    let total: u64 = results.iter().map(|r| r.0).sum();
    let least = results.iter().map(|r| r.0).min().unwrap();
    let most = results.iter().map(|r| r.0).max().unwrap();
    let longest = results.iter().map(|r| r.1).max().unwrap();
    assert_eq!(total, unsafe { *SHARED.count.0.get() }, "counting under the lock");
    println!(
        "{{\"ns\": {:.3}, \"p50_ns\": {:.0}, \"p99_ns\": {:.0}, \"longest_ns\": {:.0}, \
         \"least\": {}, \"most\": {}, \"fairness\": {:.4}}}",
        took / total as f64,
        percentile(&counts, 0.5),
        percentile(&counts, 0.99),
        longest as f64 / ticks_per_ns(),
        least,
        most,
        least as f64 / most as f64
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |i: usize| -> u64 {
        arguments.get(i).and_then(|s| s.parse().ok()).unwrap_or_else(|| {
            eprintln!("usage: rust single N | uncontended N | contended THREADS MS INSIDE OUTSIDE");
            std::process::exit(2)
        })
    };
    match arguments.get(1).map(String::as_str) {
        Some("single") => uncontended(number(2)),
        Some("uncontended") => {
            std::thread::spawn(|| {}).join().unwrap();
            uncontended(number(2))
        }
        Some("contended") => {
            contended(number(2), number(3), number(4) as u32, number(5) as u32)
        }
        _ => _ = number(usize::MAX),
    }
}
