package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"
)

func process(ctx context.Context, wanted options) error {
	executor, err := newExecutor(wanted)
	if err != nil {
		return err
	}
	sizes, err := parseSizes(wanted.sizes)
	if err != nil {
		return err
	}
	stream := remotecommand.StreamOptions{Stdout: sizes.follow(os.Stdout), Tty: wanted.tty}
	if wanted.stdin {
		stream.Stdin = os.Stdin
	}
	if wanted.tty {
		stream.TerminalSizeQueue = sizes
	} else {
		stream.Stderr = os.Stderr
	}
	return executor.StreamWithContext(ctx, stream)
}

// newExecutor makes the executors as kubectl does.
func newExecutor(wanted options) (remotecommand.Executor, error) {
	spdy, err := remotecommand.NewSPDYExecutor(wanted.config(), "POST", wanted.url)
	if err != nil || wanted.transport == "spdy" {
		return spdy, err
	}
	webSocket, err := remotecommand.NewWebSocketExecutor(wanted.config(), "GET", wanted.url.String())
	if err != nil || wanted.transport == "websocket" {
		return webSocket, err
	}
	return remotecommand.NewFallbackExecutor(webSocket, spdy, shouldFallBack)
}

func shouldFallBack(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

// sizes is a queue of terminal sizes that goes on when there is output.
type sizes struct {
	next chan remotecommand.TerminalSize
	rest []remotecommand.TerminalSize
}

func parseSizes(text string) (*sizes, error) {
	queue := &sizes{}
	for _, word := range strings.Split(text, ",") {
		var size remotecommand.TerminalSize
		if word == "" {
			continue
		}
		if _, err := fmt.Sscanf(word, "%dx%d", &size.Width, &size.Height); err != nil {
			return nil, fmt.Errorf("size %q: %w", word, err)
		}
		queue.rest = append(queue.rest, size)
	}
	queue.next = make(chan remotecommand.TerminalSize, len(queue.rest))
	queue.advance()
	return queue, nil
}

// Next implements remotecommand.TerminalSizeQueue; nil ends it, which never happens.
func (s *sizes) Next() *remotecommand.TerminalSize {
	size := <-s.next
	return &size
}

func (s *sizes) advance() {
	if len(s.rest) > 0 {
		s.next <- s.rest[0]
		s.rest = s.rest[1:]
	}
}

func (s *sizes) follow(output io.Writer) io.Writer {
	return writerFunc(func(data []byte) (int, error) {
		written, err := output.Write(data)
		s.advance()
		return written, err
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(data []byte) (int, error) { return f(data) }
