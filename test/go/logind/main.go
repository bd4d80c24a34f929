// Command logind is as much of systemd-logind as a kubelet asks for: a manager on the bus of DBUS_SYSTEM_BUS_ADDRESS
// that hands out inhibitors of a shutdown. At SIGUSR1 it announces a shutdown. It prints "released" when the last
// inhibitor has been closed after that.
package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

const (
	path    = dbus.ObjectPath("/org/freedesktop/login1")
	name    = "org.freedesktop.login1"
	manager = "org.freedesktop.login1.Manager"
)

type logind struct {
	// ours are this process's copies of the ends that were handed out.
	ours  []int
	mutex sync.Mutex
	held  sync.WaitGroup
}

// Inhibit answers one end of a pipe: the inhibitor is in force until its holder closes it.
func (l *logind) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.ours = append(l.ours, ends[1])
	l.held.Add(1)
	go func() {
		defer l.held.Done()
		_, _ = io.Copy(io.Discard, os.NewFile(uintptr(ends[0]), "inhibitor"))
	}()
	fmt.Printf("%s inhibits %s: %s (%s)\n", who, what, why, mode)
	return dbus.UnixFD(ends[1]), nil
}

// shutDown announces a shutdown, and waits until the inhibitors are closed.
func (l *logind) shutDown(bus *dbus.Conn) error {
	l.mutex.Lock()
	for _, end := range l.ours {
		_ = syscall.Close(end)
	}
	l.ours = nil
	l.mutex.Unlock()
	if err := bus.Emit(path, manager+".PrepareForShutdown", true); err != nil {
		return err
	}
	l.held.Wait()
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "logind:", err)
		os.Exit(1)
	}
}

func run() error {
	bus, err := dbus.ConnectSystemBus()
	if err != nil {
		return err
	}
	defer bus.Close()
	service := &logind{}
	if err := bus.Export(service, path, manager); err != nil {
		return err
	}
	delay := &prop.Prop{Value: uint64(600_000_000), Emit: prop.EmitFalse}
	if _, err := prop.Export(bus, path, prop.Map{manager: {"InhibitDelayMaxUSec": delay}}); err != nil {
		return err
	}
	if _, err := bus.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
		return err
	}
	shutdown := make(chan os.Signal, 1)
	signal.Notify(shutdown, syscall.SIGUSR1)
	fmt.Println("serving")
	for range shutdown {
		if err := service.shutDown(bus); err != nil {
			return err
		}
		fmt.Println("released")
	}
	return nil
}
