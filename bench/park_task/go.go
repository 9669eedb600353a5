// SPDX-License-Identifier: MIT

// Starts N goroutines that all wait for one channel to be closed, then closes it and waits for
// them.
package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	bench "bench/harness/go"
)

func main() {
	n := bench.Argument(1, "N")
	over := make(chan struct{})
	var parked, ended int64
	var all sync.WaitGroup
	all.Add(n)
	wait := func() {
		atomic.AddInt64(&parked, 1)
		<-over
		atomic.AddInt64(&ended, 1)
		all.Done()
	}
	held, began := bench.MemoryBytes(), time.Now()
	for i := 0; i < n; i++ {
		go wait()
	}
	for atomic.LoadInt64(&parked) < int64(n) {
		runtime.Gosched()
	}
	start := time.Since(began)
	bytes := bench.MemoryBytes() - held
	began = time.Now()
	close(over)
	all.Wait()
	end := time.Since(began)
	bench.Must(ended == int64(n), "every goroutine ended")
	bench.Print(map[string]float64{
		"ns":       float64((start + end).Nanoseconds()) / float64(n),
		"start_ns": float64(start.Nanoseconds()) / float64(n),
		"bytes":    bytes / float64(n),
	})
}
