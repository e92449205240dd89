package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"syscall"
	"time"
)

// adminServer is the admin listener: metrics, health and profiles over HTTP, for operators and their
// tools. It has nothing to do with the Kafka listeners, and no handler of it runs on a reactor.
type adminServer struct {
	server   *http.Server
	listener net.Listener
	ended    chan struct{} // closed when no more connections are accepted
}

// Bounds on what an HTTP client may take. Profiles move their own deadline.
const (
	adminHeaderMax      = 5 * time.Second
	adminReadMax        = 10 * time.Second
	adminWriteMax       = time.Minute
	adminIdleMax        = time.Minute
	adminHeaderBytesMax = 16 << 10
	profileMax          = 5 * time.Minute
)

// startAdmin listens on addr, host:port, and serves from then on: ready says whether the broker takes
// requests, and if not, why. An error is a sentence that names the configuration key. With an empty
// addr there is no admin listener: the server is nil, whose methods do nothing.
func startAdmin(addr string, ready func() error, m *metrics) (*adminServer, error) {
	if addr == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, adminRefused(addr, err)
	}
	a := &adminServer{listener: listener, ended: make(chan struct{})}
	a.server = &http.Server{
		Handler:           adminRoutes(ready, m),
		ReadHeaderTimeout: adminHeaderMax,
		ReadTimeout:       adminReadMax,
		WriteTimeout:      adminWriteMax,
		IdleTimeout:       adminIdleMax,
		MaxHeaderBytes:    adminHeaderBytesMax,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	go func() {
		defer close(a.ended)
		if err := a.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			slog.Error("admin listener failed", "address", addr, "error", err)
		}
	}()
	return a, nil
}

// adminRefused puts the commonest causes into words.
func adminRefused(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("admin.listener=%s: the port is in use; choose another one, "+
			"or turn the admin listener off with an empty value", addr)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("admin.listener=%s: the address is not one of this host", addr)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("admin.listener=%s: this user may not bind the port", addr)
	default:
		return fmt.Errorf("admin.listener=%s: %w", addr, err)
	}
}

// addr is the address at which the listener is bound.
func (a *adminServer) addr() string {
	if a == nil {
		return ""
	}
	return a.listener.Addr().String()
}

// stop stops accepting, lets requests in process end until ctx does, and closes what is left.
func (a *adminServer) stop(ctx context.Context) {
	if a == nil {
		return
	}
	if a.server.Shutdown(ctx) != nil {
		_ = a.server.Close()
	}
	<-a.ended
}

const adminIndex = `sluice admin listener

/metrics       every metric, in Prometheus's text format
/healthz       200 while the process lives
/readyz        200 while requests are accepted, else 503 and why
/debug/pprof/  profiles of the running broker
`

// adminRoutes serves GET and HEAD alone: nothing here changes anything.
func adminRoutes(ready func() error, m *metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		plainText(w, http.StatusOK, adminIndex)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = m.write(w) // the client is gone: nobody is left to tell
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plainText(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			plainText(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		plainText(w, http.StatusOK, "ready\n")
	})
	mux.HandleFunc("GET /debug/pprof/", profile(pprof.Index))
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", profile(pprof.Profile))
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", profile(pprof.Trace))
	return mux
}

// profile bounds how long a profile may run: there is one CPU profile at a time in a process, and it
// costs the broker, so a mistyped length must not hold it for hours.
func profile(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text := r.URL.Query().Get("seconds")
		if seconds, err := strconv.ParseFloat(text, 64); text != "" &&
			(err != nil || !(seconds <= profileMax.Seconds())) {
			plainText(w, http.StatusBadRequest,
				fmt.Sprintf("seconds=%s: a profile runs for %s at most\n", text, profileMax))
			return
		}
		handler(w, r)
	}
}

// plainText answers with a status that a load balancer reads and a text that a person does.
func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
