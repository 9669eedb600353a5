// SPDX-License-Identifier: MIT

// Package bench is what the Go sides share: harness.h, said in Go.
package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// Argument is the command line's i-th word as a number of at least 1.
func Argument(i int, name string) int {
	Must(i < len(os.Args), name+" is missing")
	n, err := strconv.Atoi(os.Args[i])
	Must(err == nil && n >= 1, name+" must be a number of at least 1")
	return n
}

// Must ends the program unless ok: a benchmark that failed must not yield a figure.
func Must(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "benchmark failed:", what)
		os.Exit(1)
	}
}

// Print prints the figures as one JSON object.
func Print(figures map[string]float64) {
	text, err := json.Marshal(figures)
	Must(err == nil, "figures")
	fmt.Println(string(text))
}

// MemoryBytes is what this process holds: resident memory and page tables.
func MemoryBytes() float64 {
	file, err := os.Open("/proc/self/status")
	Must(err == nil, "opening /proc/self/status")
	defer file.Close()
	kib := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if words[0] == "VmRSS:" || words[0] == "VmPTE:" {
			n, err := strconv.Atoi(words[1])
			Must(err == nil, "reading /proc/self/status")
			kib += n
		}
	}
	return float64(kib) * 1024
}

// Bind binds the calling goroutine's thread, which must be locked to it, to the i-th CPU that the
// process may use, counted round and round.
func Bind(i int) {
	var all, one [16]uint64
	_, _, failed := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, uintptr(os.Getpid()),
		unsafe.Sizeof(all), uintptr(unsafe.Pointer(&all)))
	Must(failed == 0, "sched_getaffinity")
	cpus := []int{}
	for cpu := 0; cpu < 64*len(all); cpu++ {
		if all[cpu/64]>>(cpu%64)&1 == 1 {
			cpus = append(cpus, cpu)
		}
	}
	cpu := cpus[i%len(cpus)]
	one[cpu/64] = 1 << (cpu % 64)
	_, _, failed = syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(one),
		uintptr(unsafe.Pointer(&one)))
	Must(failed == 0, "sched_setaffinity")
}

// Random is the next of the pseudo-random numbers that are the same in every language (splitmix64).
func Random(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	x := *state
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb
	return x ^ (x >> 31)
}

// Percentile sorts the values and returns the one that share of them do not exceed.
func Percentile(values []int64, share float64) float64 {
	sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
	i := int(share * float64(len(values)))
	if i == len(values) {
		i--
	}
	return float64(values[i])
}
