// Command webserver answers every HTTP request with a page. It stands in the test images where
// critest expects nginx or httpd.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	listen := flag.String("listen", ":80", "address to serve on")
	pidFile := flag.String("pid-file", "", "file to write the process id to")
	say := flag.String("say", "", "line to print at start")
	flag.Parse()
	if *say != "" {
		fmt.Println(*say)
	}
	if *pidFile != "" {
		if err := os.WriteFile(*pidFile, []byte(fmt.Sprintln(os.Getpid())), 0o644); err != nil {
			fail(err)
		}
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	go func() {
		<-signals
		os.Exit(0)
	}()
	handler := http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		fmt.Printf("%s %s\n", request.Method, request.URL)
		fmt.Fprintln(response, "It works!")
	})
	fail(http.ListenAndServe(*listen, handler))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
