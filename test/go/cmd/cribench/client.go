package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// maxMessageBytes is the kubelet's limit for an answer.
const maxMessageBytes = 16 << 20

type client struct {
	runtime     cri.RuntimeServiceClient
	images      cri.ImageServiceClient
	timeout     time.Duration
	connections []*grpc.ClientConn
}

// dial connects as the kubelet does: plain text, "localhost" for authority, one connection an endpoint.
func dial(plan *Plan) (*client, error) {
	made := &client{timeout: time.Duration(plan.TimeoutSeconds * float64(time.Second))}
	runtime, err := made.connect(plan.Endpoint)
	if err != nil {
		return nil, err
	}
	images := runtime
	if plan.ImageEndpoint != plan.Endpoint {
		if images, err = made.connect(plan.ImageEndpoint); err != nil {
			return nil, err
		}
	}
	made.runtime = cri.NewRuntimeServiceClient(runtime)
	made.images = cri.NewImageServiceClient(images)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := made.runtime.Version(ctx, &cri.VersionRequest{}, grpc.WaitForReady(true)); err != nil {
		made.close()
		return nil, fmt.Errorf("%s does not answer: %w", plan.Endpoint, err)
	}
	return made, nil
}

func (c *client) connect(endpoint string) (*grpc.ClientConn, error) {
	scheme, address, found := strings.Cut(endpoint, "://")
	if !found {
		return nil, fmt.Errorf("endpoint %q: unix://PATH or tcp://HOST:PORT is wanted", endpoint)
	}
	dialer := func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, scheme, address)
	}
	params := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: 5 * time.Second}
	params.Backoff.MaxDelay = 3 * time.Second
	params.Backoff.BaseDelay = 100 * time.Millisecond
	connection, err := grpc.NewClient("passthrough:///cri",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"),
		grpc.WithContextDialer(dialer),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes)),
		grpc.WithConnectParams(params))
	if err == nil {
		c.connections = append(c.connections, connection)
	}
	return connection, err
}

func (c *client) close() {
	for _, connection := range c.connections {
		connection.Close()
	}
}

// call runs one RPC under the plan's deadline and notes its time. items is the length of a list, else 0.
func (c *client) call(ctx context.Context, into *recorder, rpc string, do func(context.Context) (items int, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	begun := time.Now()
	items, err := do(ctx)
	into.add(rpc, time.Since(begun), items, err)
	return err
}
