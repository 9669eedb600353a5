// SPDX-License-Identifier: MIT

// Skynet: a tree of goroutines, ten children each, LEAVES leaves (a power of ten).
package main

import (
	"time"

	bench "bench/harness/go"
)

const children = 10

func grow(result chan<- uint64, first, leaves uint64) {
	if leaves == 1 {
		result <- first
		return
	}
	results := make(chan uint64)
	each := leaves / children
	for i := uint64(0); i < children; i++ {
		go grow(results, first+i*each, each)
	}
	sum := uint64(0)
	for i := 0; i < children; i++ {
		sum += <-results
	}
	result <- sum
}

func main() {
	leaves := uint64(bench.Argument(1, "LEAVES"))
	result := make(chan uint64)
	began := time.Now()
	go grow(result, 0, leaves)
	sum := <-result
	took := time.Since(began)
	bench.Must(sum == leaves*(leaves-1)/2, "the sum of all leaves' numbers")
	bench.Print(map[string]float64{"ms": float64(took.Nanoseconds()) / 1e6})
}
