// SPDX-License-Identifier: MIT

// Two goroutines yield to each other; with GOMAXPROCS=1 each yield is a switch.
package main

import (
	"runtime"
	"sync"
	"time"

	bench "bench/harness/go"
)

var table struct {
	yields          int
	taken, repeated int
	here, last      int
	began, ended    time.Time
}

func step(player int) {
	table.taken++
	if table.last == player {
		table.repeated++
	}
	table.last = player
	runtime.Gosched()
}

func play(player int) {
	table.here++
	for table.here < 2 {
		runtime.Gosched()
	}
	if table.taken == 0 {
		table.began = time.Now()
	}
	for i := 0; i < table.yields; i++ {
		step(player)
	}
	table.ended = time.Now()
}

func main() {
	table.yields = bench.Argument(1, "SWITCHES") / 2
	table.last = -1
	var players sync.WaitGroup
	for i := 0; i < 2; i++ {
		players.Add(1)
		go func(player int) {
			play(player)
			players.Done()
		}(i)
	}
	players.Wait()
	bench.Must(table.taken == 2*table.yields, "every turn is taken")
	bench.Must(table.repeated <= 1+table.taken/20, "the players alternate")
	took := table.ended.Sub(table.began)
	bench.Print(map[string]float64{"ns": float64(took.Nanoseconds()) / float64(table.taken)})
}
