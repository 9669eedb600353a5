// SPDX-License-Identifier: MIT

// Starts and finishes N goroutines, one alive at a time; first by yielding until it has run, then
// by waiting for what it sends.
package main

import (
	"runtime"
	"time"

	bench "bench/harness/go"
)

var ran int

func child() {
	ran++
}

func startAndYield(n int) {
	for i := 1; i <= n; i++ {
		go child()
		for ran < i {
			runtime.Gosched()
		}
	}
}

func startAndJoin(n int) {
	ended := make(chan struct{}, 1)
	for i := 0; i < n; i++ {
		go func() {
			child()
			ended <- struct{}{}
		}()
		<-ended
	}
}

func timed(startAll func(int), n int) float64 {
	ran = 0
	began := time.Now()
	startAll(n)
	took := time.Since(began)
	bench.Must(ran == n, "every child ran")
	return float64(took.Nanoseconds()) / float64(n)
}

func main() {
	n := bench.Argument(1, "N")
	yield := timed(startAndYield, n)
	bench.Print(map[string]float64{"yield_ns": yield, "join_ns": timed(startAndJoin, n)})
}
