package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"nutmeg/internal/logfile"
)

// signals listens to the process's signals, which are twemproxy's.
type signals struct {
	log  *logfile.Log
	slog *slog.Logger
	got  chan os.Signal
	done chan struct{}
}

func newSignals(log *logfile.Log, l *slog.Logger) *signals {
	s := &signals{log: log, slog: l, got: make(chan os.Signal, 16), done: make(chan struct{})}
	signal.Notify(s.got, syscall.SIGTTIN, syscall.SIGTTOU, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGINT, syscall.SIGTERM)
	return s
}

func (s *signals) stop() {
	signal.Stop(s.got)
	close(s.done)
}

// handle obeys signals until stop.
func (s *signals) handle(d *daemonProcess) {
	for {
		select {
		case sig := <-s.got:
			s.obey(d, sig)
		case <-s.done:
			return
		}
	}
}

func (s *signals) obey(d *daemonProcess, sig os.Signal) {
	switch sig {
	case syscall.SIGTTIN:
		s.say(sig, ", up logging level")
		s.level("up", s.log.Raise())
	case syscall.SIGTTOU:
		s.say(sig, ", down logging level")
		s.level("down", s.log.Lower())
	case syscall.SIGHUP:
		s.say(sig, ", reopening log file")
		if err := s.log.Reopen(); err != nil {
			s.slog.Error("cannot reopen the log file, the old one stays in use", "cause", err)
		}
	case syscall.SIGUSR1:
		s.say(sig, ", reloading")
		go func() { // workers that do not answer must not keep other signals waiting
			_, _ = d.reload("SIGUSR1") // logged and counted there
		}()
	case syscall.SIGUSR2:
		s.say(sig, ", upgrading")
		d.upgrade()
	case syscall.SIGINT:
		s.say(sig, ", exiting")
		d.interrupt()
	case syscall.SIGTERM:
		s.say(sig, ", exiting")
		d.terminate()
	}
}

func (s *signals) level(direction string, level int) {
	s.slog.Log(context.Background(), logfile.Emerg, fmt.Sprintf("%s log level to %d", direction, level))
}

// say logs a signal at the level that is always shown.
func (s *signals) say(sig os.Signal, effect string) {
	number, _ := sig.(syscall.Signal)
	s.slog.Log(context.Background(), logfile.Emerg, fmt.Sprintf("signal %d (%s) received%s", int(number), signalNames[number], effect))
}

var signalNames = map[syscall.Signal]string{
	syscall.SIGTTIN: "SIGTTIN",
	syscall.SIGTTOU: "SIGTTOU",
	syscall.SIGHUP:  "SIGHUP",
	syscall.SIGUSR1: "SIGUSR1",
	syscall.SIGUSR2: "SIGUSR2",
	syscall.SIGINT:  "SIGINT",
	syscall.SIGTERM: "SIGTERM",
}
