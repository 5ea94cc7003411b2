package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Control does what the pages ask for. Many goroutines may call it at once, but
// Reload and Plan one at a time.
type Control interface {
	// Reload reads the configuration file again and puts it in force. The report
	// says for people what has changed. An error means that nothing has.
	//
	// ctx ends when the time for it is over or the Server is closed, and not when
	// the caller goes away.
	Reload(ctx context.Context) (report string, err error)

	// Plan says for people what would change if text, the content of a file called
	// name, were put in force. It keeps no reference to text. An error is what the
	// text cannot be used for.
	Plan(ctx context.Context, name string, text []byte) (report string, err error)

	// Servers returns the health of all servers, in the order of the configuration.
	Servers(ctx context.Context) ([]ServerState, error)

	// Changes counts reloads and upgrades since the start, whoever asked for
	// them. It does not wait.
	Changes() Changes
}

// Changes counts what changed the process, or should have.
type Changes struct {
	Reloads       int64 // that were done
	ReloadErrors  int64 // that failed, and changed nothing
	UpgradeErrors int64 // that failed: this process went on
}

// ServerState is the health of one server, as the page /servers shows it.
type ServerState struct {
	Pool      string `json:"pool"`
	Server    string `json:"server"`    // its name
	Address   string `json:"address"`   // host:port or path
	State     string `json:"state"`     // a word: in, failing, ejected, probing, trial ...
	Since     int64  `json:"since"`     // microseconds since the Unix epoch; 0 = since the start
	Cause     string `json:"cause"`     // of the last failure; "" = none yet
	Failures  int64  `json:"failures"`  // in a row
	Ejections int64  `json:"ejections"` // since the start
	Retry     int64  `json:"retry"`     // milliseconds until it may come back; 0 = it is in
}

// controlHeader must be in a request that does something. Web browsers do not
// send it across sites without asking first, and nobody here says yes.
const controlHeader = "X-Nutmeg-Control"

// refusal says why a request must not do anything, or is nil.
//
// A web page on this machine's browser is the danger: its requests come from
// this machine, too. It cannot send the header, unless it was loaded from a name
// of its own that now points here; then Host has that name.
func refusal(r *http.Request) error {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); !ok || local.Network() != "unix" {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil || !peer.Addr().IsLoopback() {
			return fmt.Errorf("%s is only for callers on this machine; use 127.0.0.1", r.URL.Path)
		}
		if !plainHost(r.Host) {
			return fmt.Errorf("%s is not for the host %q; use 127.0.0.1 or localhost", r.URL.Path, r.Host)
		}
	}
	if r.Header.Get(controlHeader) != "1" {
		return fmt.Errorf("%s needs the header %s: 1; use nutmegctl, or curl -X POST -H '%s: 1'", r.URL.Path, controlHeader, controlHeader)
	}
	return nil
}

// plainHost reports whether a Host header has no name that somebody else could point here.
func plainHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(trimBrackets(host))
	return err == nil || host == "localhost"
}

func trimBrackets(host string) string {
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		return host[1 : n-1]
	}
	return host
}

// inTurn serves a page that does something: for those who may, and one request
// at a time. serve has until the given time.
func (s *Server) inTurn(serve func(w http.ResponseWriter, r *http.Request, until time.Time)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := refusal(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		if !s.hasControl(w, r) {
			return
		}
		until := time.Now().Add(s.limits.control)
		deadlines := http.NewResponseController(w)
		_ = deadlines.SetReadDeadline(until) // fails only on a connection that is closed already
		_ = deadlines.SetWriteDeadline(until.Add(s.limits.write))
		ctx, cancel := context.WithDeadline(r.Context(), until)
		defer cancel()
		select {
		case s.turn <- struct{}{}:
			defer func() { <-s.turn }()
			serve(w, r, until)
		case <-ctx.Done():
			http.Error(w, "another reload or plan is still under way; try again later", http.StatusServiceUnavailable)
		}
	}
}

// hasControl answers if there is no Control.
func (s *Server) hasControl(w http.ResponseWriter, r *http.Request) bool {
	if s.options.Control == nil {
		http.Error(w, fmt.Sprintf("%s is not available: this process cannot be controlled", r.URL.Path), http.StatusNotImplemented)
		return false
	}
	return true
}

func (s *Server) serveReload(w http.ResponseWriter, r *http.Request, until time.Time) {
	// A reload that has begun does not depend on who waits for it.
	ctx, cancel := context.WithDeadline(s.ctx, until)
	defer cancel()
	s.options.Log.Info("asked to reload", "client", r.RemoteAddr)
	report, err := s.options.Control.Reload(ctx)
	s.report(w, "reload", report, err)
}

// servePlan takes the file's name, for positions of faults, from the parameter name.
func (s *Server) servePlan(w http.ResponseWriter, r *http.Request, until time.Time) {
	ctx, cancel := context.WithDeadline(r.Context(), until)
	defer cancel()
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Now().Add(s.limits.request)) // a slow caller must not keep its turn
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.limits.body))
	_ = deadlines.SetReadDeadline(until)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		http.Error(w, fmt.Sprintf("the file is larger than %d bytes; is it a configuration file?", s.limits.body), http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "cannot read the file: "+err.Error(), http.StatusBadRequest)
		return
	}
	name := r.URL.Query().Get("name")
	if name == "" {
		name = "file"
	}
	report, err := s.options.Control.Plan(ctx, name, text)
	s.report(w, "plan", report, err)
}

// report answers with what became of a reload or a plan.
func (s *Server) report(w http.ResponseWriter, what, report string, err error) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		http.Error(w, fmt.Sprintf("the %s did not end within %v; a worker is stuck or overloaded: %v", what, s.limits.control, err), http.StatusServiceUnavailable)
	case errors.Is(err, context.Canceled):
		http.Error(w, fmt.Sprintf("the %s was given up: %s is shutting down", what, s.options.Service), http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Length", strconv.Itoa(len(report)))
		_, _ = io.WriteString(w, report) // the client is gone: nobody to tell
	}
}

// serveServers answers with {"servers": [...]}, each a ServerState.
func (s *Server) serveServers(w http.ResponseWriter, r *http.Request) {
	if !s.hasControl(w, r) {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.limits.counters)
	defer cancel()
	states, err := s.options.Control.Servers(ctx)
	if err != nil {
		http.Error(w, "cannot read the health of servers: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	if states == nil {
		states = []ServerState{}
	}
	body, err := json.Marshal(map[string][]ServerState{"servers": states})
	if err != nil {
		panic("BUG: cannot write the health of servers: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	_, _ = w.Write(append(body, '\n'))
}
