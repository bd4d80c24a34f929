// Command kubestream is a client of streaming URLs made of kubectl's own libraries, client-go's remotecommand and
// portforward:
//
//	kubestream process -url URL -transport spdy|websocket|fallback [-stdin] [-tty] [-sizes 80x24,120x40]
//	kubestream forward -url URL -transport … 8080 8081
//	kubestream connect -url URL -transport … 8080:100 8081
//	kubestream logs -url URL -lines 100
//
// Each takes -cert and -key for https: the client's certificate, which is the server's authority as well.
//
// process joins standard input and output with an exec or attach, and ends with the command's exit code. forward
// listens on a local port for each port of the pod, as kubectl port-forward does, until its standard input ends.
// connect makes connections to ports one argument after the other, in one session. logs reads a log's URL, as kubectl
// logs does, and ends after so many lines.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/exec"
)

// ownFailure is the exit code of an error that is not the command's.
const ownFailure = 255

type options struct {
	url       *url.URL
	transport string
	stdin     bool
	tty       bool
	sizes     string
	lines     int
	cert      string
	key       string
	ports     []string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		var code exec.CodeExitError
		if errors.As(err, &code) {
			os.Exit(code.Code)
		}
		fmt.Fprintln(os.Stderr, "kubestream:", err)
		os.Exit(ownFailure)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want process, forward, connect or logs")
	}
	wanted, err := parse(args[0], args[1:])
	if err != nil {
		return err
	}
	switch args[0] {
	case "process":
		return process(context.Background(), wanted)
	case "forward":
		return forward(wanted)
	case "connect":
		return connect(wanted)
	case "logs":
		return logs(context.Background(), wanted)
	}
	return fmt.Errorf("%s is none of process, forward, connect and logs", args[0])
}

func parse(name string, args []string) (options, error) {
	var wanted options
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	address := flags.String("url", "", "what Exec, Attach or PortForward answered")
	flags.StringVar(&wanted.transport, "transport", "fallback", "spdy, websocket or fallback")
	flags.BoolVar(&wanted.stdin, "stdin", false, "send standard input")
	flags.BoolVar(&wanted.tty, "tty", false, "the process has a terminal")
	flags.StringVar(&wanted.sizes, "sizes", "", "of the terminal: one at once, the next after each piece of output")
	flags.IntVar(&wanted.lines, "lines", 0, "of the log, after which to end")
	flags.StringVar(&wanted.cert, "cert", "", "file of the client's certificate, and the server's authority")
	flags.StringVar(&wanted.key, "key", "", "file of the client's key")
	if err := flags.Parse(args); err != nil {
		return wanted, err
	}
	wanted.ports = flags.Args()
	parsed, err := url.Parse(*address)
	wanted.url = parsed
	return wanted, err
}

func (wanted options) config() *rest.Config {
	return &rest.Config{TLSClientConfig: rest.TLSClientConfig{
		CAFile: wanted.cert, CertFile: wanted.cert, KeyFile: wanted.key,
	}}
}
