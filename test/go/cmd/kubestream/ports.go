package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// newDialer makes the dialers as kubectl does.
func newDialer(wanted options) (httpstream.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(wanted.config())
	if err != nil {
		return nil, err
	}
	spdyDialer := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, "POST", wanted.url)
	if wanted.transport == "spdy" {
		return spdyDialer, nil
	}
	tunnel, err := portforward.NewSPDYOverWebsocketDialerForStreaming(wanted.url, wanted.config())
	if err != nil || wanted.transport == "websocket" {
		return tunnel, err
	}
	return portforward.NewFallbackDialerForStreaming(tunnel, spdyDialer, shouldFallBack), nil
}

// forward listens on a free port for each of the pod's.
func forward(wanted options) error {
	dialer, err := newDialer(wanted)
	if err != nil {
		return err
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	ports := make([]string, len(wanted.ports))
	for index, port := range wanted.ports {
		ports[index] = "0:" + port
	}
	addresses := []string{"127.0.0.1"}
	forwarder, err := portforward.NewOnAddressesForStreaming(dialer, addresses, ports, stop, nil, os.Stdout, os.Stderr)
	if err != nil {
		return err
	}
	return forwarder.ForwardPorts()
}

// answer is what one connection of connect has seen.
type answer struct {
	Port  int    `json:"port"`
	Data  string `json:"data"`
	Error string `json:"error"`
}

// connect writes a text to each connection, closes its half, and prints what came back, a line of JSON each. An
// argument PORT:COUNT makes so many connections at once.
func connect(wanted options) error {
	dialer, err := newDialer(wanted)
	if err != nil {
		return err
	}
	session, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return err
	}
	defer session.Close()
	lines := json.NewEncoder(os.Stdout)
	request := 0
	for _, word := range wanted.ports {
		port, count, err := portAndCount(word)
		if err != nil {
			return err
		}
		answers := make([]answer, count)
		errs := make([]error, count)
		var group sync.WaitGroup
		for index := range answers {
			request++
			id := request
			group.Go(func() { answers[index], errs[index] = ask(session, port, id) })
		}
		group.Wait()
		for index := range answers {
			if errs[index] != nil {
				return fmt.Errorf("connection %d to port %d: %w", index, port, errs[index])
			}
			if err := lines.Encode(answers[index]); err != nil {
				return err
			}
		}
	}
	return nil
}

func portAndCount(word string) (port, count int, err error) {
	name, times, found := strings.Cut(word, ":")
	if !found {
		times = "1"
	}
	if port, err = strconv.Atoi(name); err == nil {
		count, err = strconv.Atoi(times)
	}
	return port, count, err
}

func ask(session httpstream.Connection, port, request int) (answer, error) {
	open := func(kind string) (httpstream.Stream, error) {
		headers := http.Header{}
		headers.Set(corev1.StreamType, kind)
		headers.Set(corev1.PortHeader, strconv.Itoa(port))
		headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(request))
		return session.CreateStream(headers)
	}
	failure, err := open(corev1.StreamTypeError)
	if err != nil {
		return answer{}, err
	}
	_ = failure.Close()
	data, err := open(corev1.StreamTypeData)
	if err != nil {
		return answer{}, err
	}
	defer session.RemoveStreams(failure, data)
	// A refused port may have ended the stream already.
	_, _ = fmt.Fprintf(data, "request %d", request)
	_ = data.Close()
	received, err := io.ReadAll(data)
	if err != nil {
		return answer{}, err
	}
	text, err := io.ReadAll(failure)
	return answer{Port: port, Data: string(received), Error: string(text)}, err
}
