package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/client-go/rest"
)

// logs prints the first lines that a log's URL answers.
func logs(ctx context.Context, wanted options) error {
	transport, err := rest.TransportFor(wanted.config())
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport}
	server := &url.URL{Scheme: wanted.url.Scheme, Host: wanted.url.Host}
	stream, err := rest.NewRequestWithClient(server, "", rest.ClientContentConfig{}, client).Verb("GET").
		RequestURI(wanted.url.RequestURI()).Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	for count := 0; count < wanted.lines && lines.Scan(); count++ {
		fmt.Println(lines.Text())
	}
	return lines.Err()
}
