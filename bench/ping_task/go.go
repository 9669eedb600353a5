// SPDX-License-Identifier: MIT

// Two goroutines hand a number to and fro through two channels; a round trip.
//
// tasks N    wherever the scheduler puts them
// apart N    each on an operating-system thread and a CPU of its own (GOMAXPROCS=2)
package main

import (
	"os"
	"runtime"
	"time"

	bench "bench/harness/go"
)

func settle(player int, apart bool) {
	if apart {
		runtime.LockOSThread()
		bench.Bind(player)
	}
}

func main() {
	bench.Must(len(os.Args) > 1, "the first word: tasks or apart")
	apart := os.Args[1] == "apart"
	trips := bench.Argument(2, "N")
	there, back := make(chan uint64), make(chan uint64)
	took := make(chan time.Duration)
	go func() {
		settle(1, apart)
		for i := 0; i < trips; i++ {
			back <- <-there
		}
	}()
	go func() {
		settle(0, apart)
		began := time.Now()
		for i := uint64(0); i < uint64(trips); i++ {
			there <- i
			bench.Must(<-back == i, "what comes back is what was sent")
		}
		took <- time.Since(began)
	}()
	bench.Print(map[string]float64{"ns": float64((<-took).Nanoseconds()) / float64(trips)})
}
