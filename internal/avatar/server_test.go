package avatar

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serve starts a server that is closed at the end of the test, handlers that wait for their caller included.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func servePicture(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html") // never trusted
		_, _ = w.Write(b)
	}
}

// serveTLS starts a TLS server that stages trust which were given trust(srv).
func serveTLS(t testing.TB, h2 bool, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = h2
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes fail on purpose
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func trusting(t testing.TB, s *Stage, srv *httptest.Server) *Stage {
	t.Helper()
	transport, isHTTP := srv.Client().Transport.(*http.Transport)
	if !isHTTP {
		t.Fatal("no transport to take the roots from")
	}
	s.fetch.transport.TLSClientConfig = transport.TLSClientConfig.Clone()
	s.fetch.transport.TLSClientConfig.NextProtos = nil
	return s
}

// drip sends first, then one byte whenever the last was sent, for as long as the caller listens.
func drip(first []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(first)
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte{0}); err != nil {
				return
			}
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			select { // a trickle, not a flood
			case <-r.Context().Done():
			case <-tick(r.Context()):
			}
		}
	}
}

// listen accepts connections and hands each to f until the end of the test.
func listen(t testing.TB, f func(net.Conn)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// silent holds a connection open until the other side gives up.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// nameServer answers every A question with the address that answers has for its first label, "" with nothing at all,
// and what it does not have with NXDOMAIN.
func nameServer(t testing.TB, answers map[string]string) *net.Resolver {
	t.Helper()
	server, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			if reply := dnsReply(b[:n], answers); reply != nil {
				_, _ = server.WriteTo(reply, from)
			}
		}
	}()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func dnsReply(query []byte, answers map[string]string) []byte {
	const header, typeA = 12, 1
	end := header
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5 // the root label, the type and the class
	address, known := answers[string(query[header+1:][:query[header]])]
	if known && address == "" {
		return nil
	}
	reply := append([]byte(nil), query[:end]...)
	reply[2], reply[3] = 0x81, 0x80
	clear(reply[6:header])
	switch {
	case !known:
		reply[3] |= 3 // NXDOMAIN
	case binary.BigEndian.Uint16(query[end-4:]) == typeA:
		reply[7] = 1
		reply = append(reply, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 60, 0, 4)
		reply = append(reply, net.ParseIP(address).To4()...)
	}
	return reply
}

// resolving makes the stage ask that resolver, with its own dial guard.
func resolving(s *Stage, r *net.Resolver) *Stage {
	dialer := newDialer(newDialGuard(s.fetch.policy))
	dialer.Resolver = r
	s.fetch.transport.DialContext = dialer.DialContext
	return s
}

// host is the server's URL under another host name.
func host(srv *httptest.Server, name string) string {
	return strings.Replace(srv.URL, "127.0.0.1", name, 1)
}

func tick(ctx context.Context) <-chan struct{} {
	short, cancel := context.WithTimeout(ctx, trickle)
	context.AfterFunc(short, cancel)
	return short.Done()
}
