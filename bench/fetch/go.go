// SPDX-License-Identifier: MIT

// The fetch benchmark as Go's users write it: go URLS WORKERS. The workers share a client, whose
// connections are kept; bodies are discarded.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	bench "bench/harness/go"
)

func fetch(client *http.Client, url string) bool {
	answer, err := client.Get(url)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err == nil && answer.StatusCode == 200
}

func main() {
	workers := bench.Argument(2, "WORKERS")
	text, err := os.ReadFile(os.Args[1])
	bench.Must(err == nil, "reading the list of URLs")
	list := strings.Fields(string(text))
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConns:        workers,
		MaxIdleConnsPerHost: workers,
		DisableCompression:  true,
	}}
	urls := make(chan string)
	fetched := int64(0)
	var all sync.WaitGroup
	for i := 0; i < workers; i++ {
		all.Add(1)
		go func() {
			for url := range urls {
				if fetch(client, url) {
					atomic.AddInt64(&fetched, 1)
				}
			}
			all.Done()
		}()
	}
	for _, url := range list {
		urls <- url
	}
	close(urls)
	all.Wait()
	fmt.Println(fetched)
	bench.Must(fetched == int64(len(list)), "every answer is 200")
}
