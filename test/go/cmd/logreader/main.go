// Command logreader reads a container's log file with the code that kubelet answers "kubectl logs" with, and
// copies what it shows of each stream into a file.
//
// With -follow the container counts as running until standard input ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	internalapi "k8s.io/cri-api/pkg/apis"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-client/pkg/logs"
)

// status answers the one question that the reader asks of a runtime.
type status struct {
	internalapi.RuntimeService
	ended atomic.Bool
}

func (s *status) ContainerStatus(context.Context, string, bool) (*runtimeapi.ContainerStatusResponse, error) {
	state := runtimeapi.ContainerState_CONTAINER_RUNNING
	if s.ended.Load() {
		state = runtimeapi.ContainerState_CONTAINER_EXITED
	}
	return &runtimeapi.ContainerStatusResponse{Status: &runtimeapi.ContainerStatus{State: state}}, nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	path := flag.String("path", "", "the log file")
	stdoutPath := flag.String("stdout", os.DevNull, "where its standard output goes")
	stderrPath := flag.String("stderr", os.DevNull, "where its standard error goes")
	tail := flag.Int64("tail", -1, "only the last so many entries")
	follow := flag.Bool("follow", false, "read on until standard input ends")
	flag.Parse()

	stdout, err := os.Create(*stdoutPath)
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := os.Create(*stderrPath)
	if err != nil {
		return err
	}
	defer stderr.Close()

	options := &logs.LogOptions{Follow: *follow}
	if *tail >= 0 {
		options.TailLines = tail
	}
	container := &status{}
	if *follow {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			container.ended.Store(true)
		}()
	}
	return logs.ReadLogs(context.Background(), *path, "container", options, container, stdout, stderr)
}
