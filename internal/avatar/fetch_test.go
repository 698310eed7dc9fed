package avatar

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

const (
	trickle = 2 * time.Millisecond
	brief   = 100 * time.Millisecond
)

func briefly(c *Config) { c.Timeout = brief }

func TestFetch(t *testing.T) {
	picture := readFile(t, "normal/jpeg_base420_512.jpg")
	var seen http.Header
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		servePicture(picture)(w, r)
	})
	s := newStage(t)
	p, r, err := s.Picture(t.Context(), given(srv.URL+"/a.jpg?x=1"), testSide)
	if err != nil || r.Status != voip.AvatarOK {
		t.Fatalf("%+v, %v", r, err)
	}
	checkPicture(t, p, r)
	if want := (voip.AvatarSource{ContentType: "image/jpeg", Width: 512, Height: 512, Bytes: len(picture)}); *r.Source != want {
		t.Errorf("source %+v, want %+v", *r.Source, want)
	}
	if seen.Get("Accept-Encoding") != "identity" || seen.Get("Cookie") != "" || seen.Get("Referer") != "" || seen.Get("Authorization") != "" {
		t.Errorf("headers %v", seen)
	}
}

func TestFetchOverTLS(t *testing.T) {
	picture := readFile(t, "normal/big_jpeg_base420_1024.jpg") // more than the flow control lets through at once
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(name, func(t *testing.T) {
			var proto atomic.Value
			srv := serveTLS(t, h2, func(w http.ResponseWriter, r *http.Request) {
				proto.Store(r.Proto)
				servePicture(picture)(w, r)
			})
			s := trusting(t, newStage(t), srv)
			for range 2 {
				if _, r, _ := s.Picture(t.Context(), given(srv.URL), testSide); r.Status != voip.AvatarOK || r.Source.Bytes != len(picture) {
					t.Fatalf("%+v", r)
				}
			}
			if proto.Load() != name {
				t.Errorf("spoke %v, want %s", proto.Load(), name)
			}
			wantReason(t, newStage(t), newStage(t, strict), given(srv.URL), voip.AvatarUnreachable) // an unknown authority
		})
	}
}

func TestFetchLimits(t *testing.T) {
	picture := readFile(t, "normal/png_rgb_160.png")
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chunked" {
			_ = http.NewResponseController(w).Flush() // no Content-Length
		}
		servePicture(picture)(w, r)
	})
	t.Run("announced", func(t *testing.T) { checkLimits(t, given(srv.URL), int64(len(picture))) })
	t.Run("chunked", func(t *testing.T) { checkLimits(t, given(srv.URL+"/chunked"), int64(len(picture))) })
}

// TestAnnouncedOverLimit: of a body that says that it is over the limit only the head is read.
func TestAnnouncedOverLimit(t *testing.T) {
	picture := readFile(t, "normal/png_rgb_160.png")
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(1<<30))
		_, _ = w.Write(picture[:20<<10])
		_, _ = w.Write(make([]byte, headBytes))
		<-r.Context().Done()
	})
	s := newStage(t, strict)
	_, r, err := s.Picture(t.Context(), given(srv.URL), testSide)
	wantError(t, err, voip.AvatarTooLarge)
	if want := (voip.AvatarSource{ContentType: "image/png", Width: 160, Height: 160, Bytes: 1 << 30, OverLimit: true}); r.Source == nil || *r.Source != want {
		t.Errorf("source %+v, want %+v", r.Source, want)
	}
}

func TestAnswers(t *testing.T) {
	picture := readFile(t, "normal/png_rgb_160.png")
	fit, exact := newStage(t), newStage(t, strict)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   voip.AvatarReason
	}{
		"404":         {status(404), voip.AvatarNotFound},
		"410":         {status(410), voip.AvatarNotFound},
		"204":         {status(204), voip.AvatarHTTPStatus},
		"206":         {status(206), voip.AvatarHTTPStatus},
		"300":         {status(300), voip.AvatarHTTPStatus},
		"304":         {status(304), voip.AvatarHTTPStatus},
		"400":         {status(400), voip.AvatarHTTPStatus},
		"401":         {status(401), voip.AvatarHTTPStatus},
		"403":         {status(403), voip.AvatarHTTPStatus},
		"429":         {status(429), voip.AvatarHTTPStatus},
		"500":         {status(500), voip.AvatarHTTPStatus},
		"503":         {status(503), voip.AvatarHTTPStatus},
		"999":         {status(999), voip.AvatarHTTPStatus},
		"302 nowhere": {status(302), voip.AvatarHTTPStatus},
		"gzip": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte("\x1f\x8b\x08\x00"))
		}, voip.AvatarHTTPStatus},
		"identity": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "identity")
			_, _ = w.Write(picture)
		}, ok},
		"empty": {func(http.ResponseWriter, *http.Request) {}, voip.AvatarUnsupportedType},
		"HTML": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte("<html>not found</html>"))
		}, voip.AvatarUnsupportedType},
		"huge headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("a", 20<<10))
			_, _ = w.Write(picture)
		}, voip.AvatarUnreachable},
		"cut body": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(picture)))
			cutOff(w, picture[:1000])
		}, voip.AvatarUnreachable},
		"cut chunks":  {func(w http.ResponseWriter, _ *http.Request) { cutOff(w, picture[:1000]) }, voip.AvatarUnreachable},
		"cut at once": {func(w http.ResponseWriter, _ *http.Request) { cutOff(w, nil) }, voip.AvatarUnreachable},
		"reset":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, voip.AvatarUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, test.answer)
			if test.want != ok {
				wantReason(t, fit, exact, given(srv.URL), test.want)
			} else if _, r, err := exact.Picture(t.Context(), given(srv.URL), testSide); err != nil {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// cutOff ends the connection once the headers and the data are on their way.
func cutOff(w http.ResponseWriter, data []byte) {
	_, _ = w.Write(data)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestRedirects(t *testing.T) {
	picture := readFile(t, "normal/png_rgb_160.png")
	plain := serve(t, servePicture(picture))
	var referer atomic.Value
	srv := serve(t, nil)
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		referer.Store(r.Referer() + r.Header.Get("Cookie"))
		hops, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		switch {
		case r.URL.Path == "/to":
			w.Header().Set("Location", r.URL.RawQuery)
			w.WriteHeader(http.StatusFound)
		case err == nil && hops > 0:
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
			http.Redirect(w, r, "/"+strconv.Itoa(hops-1), http.StatusTemporaryRedirect)
		default:
			_, _ = w.Write(picture)
		}
	})
	fit, exact := newStage(t), newStage(t, strict)
	for path, want := range map[string]voip.AvatarReason{
		"/0": ok, "/1": ok, "/2": ok, "/3": voip.AvatarTooManyRedirects, "/99": voip.AvatarTooManyRedirects,
		"/to?" + plain.URL:            ok,
		"/to?//" + plain.URL[7:]:      ok,
		"/to?file:///etc/passwd":      voip.AvatarForbiddenURL,
		"/to?data:image/png;base64,":  voip.AvatarForbiddenURL,
		"/to?resource:a.png":          voip.AvatarForbiddenURL,
		"/to?http://u@127.0.0.1/":     voip.AvatarForbiddenURL,
		"/to?http://169.254.169.254/": voip.AvatarForbiddenAddress,
		"/to?http://[::1%25lo]/":      voip.AvatarForbiddenURL,
		"/to?http://a%00b/":           voip.AvatarForbiddenURL,
		"/to?/0#fragment":             ok, // the query ends before it
	} {
		if want != ok {
			wantReason(t, fit, exact, given(strings.TrimSuffix(srv.URL+path, "#fragment")), want)
		} else if _, r, err := exact.Picture(t.Context(), given(strings.TrimSuffix(srv.URL+path, "#fragment")), testSide); err != nil {
			t.Errorf("%s: %+v, %v", path, r, err)
		}
	}
	if got := referer.Load(); got != "" {
		t.Errorf("a redirect was followed with a Referer or Cookie %q", got)
	}
}

func TestRedirectsAreCheckedAgain(t *testing.T) {
	plain := serve(t, servePicture(readFile(t, "normal/png_rgb_160.png")))
	secure := serveTLS(t, true, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) })
	wantReason(t, trusting(t, newStage(t), secure), trusting(t, newStage(t, strict), secure), given(secure.URL), voip.AvatarForbiddenURL)

	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, host(plain, "localhost"), http.StatusFound)
	})
	listed := func(c *Config) { c.AllowedHosts = []string{"127.0.0.1"} }
	wantReason(t, newStage(t, listed), newStage(t, listed, strict), given(elsewhere.URL), voip.AvatarForbiddenURL)
	if _, r, err := newStage(t, listed, strict).Picture(t.Context(), given(plain.URL), testSide); err != nil {
		t.Errorf("a listed host: %+v, %v", r, err)
	}
}

// TestNamesOfPrivateAddresses: the guard sees what a name resolves to.
func TestNamesOfPrivateAddresses(t *testing.T) {
	names := nameServer(t, map[string]string{"inside": "127.0.0.1", "metadata": "169.254.169.254", "mute": ""})
	srv := serve(t, servePicture(readFile(t, "normal/png_rgb_160.png")))
	closed := func(c *Config) { c.AllowPrivate = false }
	fit, exact := resolving(newStage(t, closed), names), resolving(newStage(t, closed, strict), names)
	for name, want := range map[string]voip.AvatarReason{
		"https://inside.example./":   voip.AvatarForbiddenAddress,
		"http://inside.example./":    voip.AvatarForbiddenAddress,
		"https://metadata.example./": voip.AvatarForbiddenAddress,
		"https://missing.example./":  voip.AvatarUnreachable,
		"https://127.0.0.1/":         voip.AvatarForbiddenURL,
	} {
		wantReason(t, fit, exact, given(name), want)
	}
	open := resolving(newStage(t, strict), names)
	if _, r, err := open.Picture(t.Context(), given(host(srv, "inside.example.")), testSide); err != nil {
		t.Errorf("with private addresses allowed: %+v, %v", r, err)
	}
	_, _, err := open.Picture(t.Context(), given("https://metadata.example./"), testSide)
	wantError(t, err, voip.AvatarForbiddenAddress)
	mute := resolving(newStage(t, strict, briefly), names)
	_, _, err = mute.Picture(t.Context(), given("https://mute.example./"), testSide)
	wantError(t, err, voip.AvatarTimeout)
}

func TestSlowServers(t *testing.T) {
	picture := readFile(t, "normal/png_rgb_160.png")
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, source := range map[string]string{
		"no answer":       serve(t, hang).URL,
		"a dripping body": serve(t, drip(picture[:1000])).URL,
		"a dripping head": "http://" + listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1<<10)) // an answer before the request would be refused
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nX:"))
			silent(c)
		}),
		"no handshake": "https://" + listen(t, silent),
		"a slow redirect": serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/again")
			w.WriteHeader(http.StatusFound)
			drip(nil)(w, r)
		}).URL,
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a slow redirect" { // its body is not waited for
				wantReason(t, newStage(t), newStage(t, strict), given(source), voip.AvatarTooManyRedirects)
				return
			}
			begin := time.Now()
			wantReason(t, newStage(t, briefly), newStage(t, briefly, strict), given(source), voip.AvatarTimeout)
			if took := time.Since(begin); took > 100*brief {
				t.Errorf("two pictures took %v, want about %v", took, 2*brief)
			}
		})
	}
}

func TestHeaderTimeoutIsWithinALongBudget(t *testing.T) {
	srv := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	s := newStage(t, strict)
	s.fetch.transport.ResponseHeaderTimeout = newTransport(&net.Dialer{}).ResponseHeaderTimeout
	begin := time.Now()
	_, _, err := s.Picture(t.Context(), given(srv.URL), testSide)
	wantError(t, err, voip.AvatarTimeout)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("took %v, want the 800 ms that headers may take", took)
	}
}

func TestCallersDeadlineCutsTheBudget(t *testing.T) {
	end := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush() // the headers are here, within their own time
		<-end
	})
	defer close(end) // the fetch goes on until then, and the server's end waits for it
	ctx, cancel := context.WithTimeout(t.Context(), brief)
	defer cancel()
	begin := time.Now()
	long := func(c *Config) { c.Timeout = maxTimeout }
	_, r, err := newStage(t, long).Picture(ctx, given(srv.URL), testSide)
	if err != nil || r.Reason != voip.AvatarTimeout || time.Since(begin) > maxTimeout/2 {
		t.Errorf("%+v, %v after %v", r, err, time.Since(begin))
	}
	gone, stop := context.WithCancel(t.Context())
	stop()
	if _, r, err := newStage(t).Picture(gone, given(srv.URL), testSide); err != nil || r.Reason != voip.AvatarTimeout {
		t.Errorf("cancelled: %+v, %v", r, err)
	}
}

// failing are sources that fail, each in its own way.
func failing(t *testing.T) []string {
	t.Helper()
	refused := listen(t, func(net.Conn) {})
	closed := serve(t, status(200))
	closed.Close()
	return []string{
		closed.URL + "/private-name", "http://" + refused + "/private-name", "https://" + listen(t, silent) + "/private-name",
		serve(t, drip(nil)).URL + "/private-name", serve(t, status(404)).URL + "/private-name", serve(t, status(302)).URL + "/private-name",
		serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/private-name", http.StatusFound) }).URL + "/private-name",
		serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }).URL + "/private-name",
		serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }).URL + "/private-name",
		serveTLS(t, true, status(200)).URL + "/private-name", "http://169.254.169.254/private-name", "https://private-name@host.example/",
		"https://private-name.invalid./", "https://host.example/%zz/private-name", "data:private-name,", "resource:private-name",
		"resource:../private-name", "private-name", "https://private-name:99999/", serve(t, servePicture(readFile(t, "hostile/gif_trunc.gif"))).URL + "/private-name",
	}
}

// TestNothingPrivateLeaks: no log line, error or result repeats any part of the source.
func TestNothingPrivateLeaks(t *testing.T) {
	var log bytes.Buffer
	for _, source := range failing(t) {
		s, err := New(testConfig(strict, briefly), slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), nil)
		if err != nil {
			t.Fatal(err)
		}
		resolving(s, nameServer(t, nil))
		_, r, err := s.Picture(t.Context(), given(source), testSide)
		if closed := s.Close(t.Context()); closed != nil { // until what was left behind has logged its failure
			t.Fatal(closed)
		}
		if err == nil {
			t.Errorf("%s: %+v, want a failure", source, r)
			continue
		}
		for _, part := range []string{"private-name", "127.0.0.1", "host.example", "169.254"} {
			if strings.Contains(err.Error(), part) {
				t.Errorf("the error repeats %s: %v", part, err)
			}
		}
	}
	for _, part := range []string{"private-name", "127.0.0.1", "host.example", "169.254"} {
		if strings.Contains(log.String(), part) {
			t.Errorf("the log repeats %s: %s", part, log.String())
		}
	}
	if !strings.Contains(log.String(), `"source":"[private]"`) {
		t.Errorf("the log has no line of a failure: %s", log.String())
	}
}

// TestNothingIsLeftBehind: after fetches that failed in every way there is no goroutine and no socket more than before.
func TestNothingIsLeftBehind(t *testing.T) {
	sources := failing(t)
	s := resolving(newStage(t, briefly), nameServer(t, nil))
	goroutines, sockets := runtime.NumGoroutine(), openSockets(t)
	for range 3 {
		for _, source := range sources {
			if _, r, err := s.Picture(t.Context(), given(source), testSide); err != nil || r.Status != voip.AvatarFallback {
				t.Errorf("%s: %+v, %v", source, r, err)
			}
		}
	}
	s.fetch.transport.CloseIdleConnections()
	deadline, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for runtime.NumGoroutine() > goroutines || openSockets(t) > sockets {
		select {
		case <-deadline.Done():
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before; %d sockets, %d before\n%s", runtime.NumGoroutine(), goroutines, openSockets(t), sockets,
				stacks[:runtime.Stack(stacks, true)])
		case <-tick(t.Context()):
		}
	}
}

// openSockets counts this process's sockets; 0 where there is no /proc.
func openSockets(t *testing.T) (n int) {
	t.Helper()
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}
