// SPDX-License-Identifier: MIT

// N goroutines wait for a channel to be closed, which happens when standard input ends.
package main

import (
	"fmt"
	"os"
	"sync"

	bench "bench/harness/go"
)

func main() {
	n := bench.Argument(1, "N")
	over := make(chan struct{})
	var parked, all sync.WaitGroup
	parked.Add(n)
	all.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			parked.Done()
			<-over
			all.Done()
		}()
	}
	parked.Wait()
	fmt.Println("ready")
	count, _ := os.Stdin.Read(make([]byte, 1))
	bench.Must(count == 0, "standard input ends")
	close(over)
	all.Wait()
}
