// Command pause is the process of a pod's sandbox in the tests: it waits, reaps the children that
// are handed to it when it is the first process of a PID namespace, and ends on SIGTERM or SIGINT.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// One thread does all the work: a pod's resident memory is what hundreds of pods are multiplied by.
	runtime.GOMAXPROCS(1)
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		reap()
	}
}

func reap() {
	for {
		child, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || child <= 0 {
			return
		}
	}
}
