// SPDX-License-Identifier: MIT

// N goroutines each sleep until a random moment between SPAN and five SPANs of milliseconds from
// the start, and say how late they woke.
package main

import (
	"sync"
	"time"

	bench "bench/harness/go"
)

func main() {
	n := bench.Argument(1, "N")
	span := uint64(bench.Argument(2, "SPAN")) * 1000000
	late := make([]int64, n)
	var all sync.WaitGroup
	all.Add(n)
	seed, began := uint64(1), time.Now()
	for i := 0; i < n; i++ {
		moment := began.Add(time.Duration(span + bench.Random(&seed)%(4*span)))
		go func(late *int64) {
			time.Sleep(time.Until(moment))
			*late = time.Since(moment).Nanoseconds()
			all.Done()
		}(&late[i])
	}
	all.Wait()
	bench.Print(map[string]float64{
		"p50_ms": bench.Percentile(late, 0.5) / 1e6,
		"p99_ms": bench.Percentile(late, 0.99) / 1e6,
	})
	bench.Must(late[0] >= 0, "nobody wakes early")
}
