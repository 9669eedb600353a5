// SPDX-License-Identifier: MIT

// The echo server in Go: a goroutine for each connection.
package main

import (
	"net"

	bench "bench/harness/go"
)

func echo(connection net.Conn) {
	defer connection.Close()
	bytes := make([]byte, 4096)
	for {
		n, err := connection.Read(bytes)
		if err != nil {
			return
		}
		if _, err = connection.Write(bytes[:n]); err != nil {
			return
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	bench.Must(err == nil, "listening on a loopback port")
	bench.Print(map[string]float64{"port": float64(listener.Addr().(*net.TCPAddr).Port)})
	for {
		connection, err := listener.Accept()
		bench.Must(err == nil, "a connection")
		go echo(connection)
	}
}
