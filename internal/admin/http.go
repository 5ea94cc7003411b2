package admin

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// page is one thing that can be asked for over HTTP.
type page struct {
	method string // GET serves HEAD as well
	path   string // matched exactly
	serve  http.HandlerFunc
}

// pageTable lists all pages. A new page is a new line here.
func (s *Server) pageTable() []page {
	return []page{
		{http.MethodGet, "/", s.serveStats},
		{http.MethodGet, "/stats", s.serveStats},
		{http.MethodGet, "/servers", s.serveServers},
		{http.MethodPost, "/plan", s.inTurn(s.servePlan)},
		{http.MethodPost, "/reload", s.inTurn(s.serveReload)},
	}
}

func (s *Server) newHTTPServer() *http.Server {
	return &http.Server{
		Handler:                      http.HandlerFunc(s.route),
		BaseContext:                  func(net.Listener) context.Context { return s.ctx },
		ErrorLog:                     slog.NewLogLogger(s.options.Log.Handler(), slog.LevelWarn),
		ReadTimeout:                  s.limits.request,
		WriteTimeout:                 s.limits.write,
		IdleTimeout:                  s.limits.idle,
		MaxHeaderBytes:               s.limits.header,
		DisableGeneralOptionsHandler: true,
	}
}

// beginHandler reports whether a handler may run; if so, handlers.Done must follow.
func (s *Server) beginHandler() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return false
	}
	s.handlers.Add(1)
	return true
}

// route finds the page for a request, or says why there is none.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if !s.beginHandler() {
		http.Error(w, s.options.Service+" is shutting down", http.StatusServiceUnavailable)
		return
	}
	defer s.handlers.Done()

	w.Header().Set("Cache-Control", "no-store") // every page is of this moment
	var allowed []string
	for _, p := range s.pages {
		if p.path != r.URL.Path {
			continue
		}
		if p.method == r.Method || p.method == http.MethodGet && r.Method == http.MethodHead {
			p.serve(w, r)
			return
		}
		allowed = append(allowed, p.method)
		if p.method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	if allowed == nil {
		http.Error(w, fmt.Sprintf("there is no page %q here; there are: %s", r.URL.Path, s.paths()), http.StatusNotFound)
		return
	}
	methods := strings.Join(allowed, ", ")
	w.Header().Set("Allow", methods)
	http.Error(w, fmt.Sprintf("%s does not take %s; use %s", r.URL.Path, r.Method, methods), http.StatusMethodNotAllowed)
}

// paths names every page once, in the order of the table.
func (s *Server) paths() string {
	var paths []string
	for _, p := range s.pages {
		if !slices.Contains(paths, p.path) {
			paths = append(paths, p.path)
		}
	}
	return strings.Join(paths, ", ")
}

// serveStats answers with the JSON of the bare port, or with 503 and the reason
// when the counters cannot be had.
func (s *Server) serveStats(w http.ResponseWriter, r *http.Request) {
	body, err := s.statsJSON(r.Context())
	if err != nil {
		s.options.Log.Warn("answered a stats request with 503", "client", r.RemoteAddr, "error", err)
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client is gone: nobody to tell
}
