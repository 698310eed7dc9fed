package broker

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

// Limits of a gathered connection.
const (
	// gatherBytes is how much may wait to be written; who writes more waits.
	gatherBytes = 256 << 10
	// writeTimeout bounds a write to a server that does not read, and so the
	// waiting of those that write more.
	writeTimeout = 10 * time.Second
	// closeTimeout bounds the writing of what is left when it is closed.
	closeTimeout = 250 * time.Millisecond
)

// gatherer dials connections whose writes are gathered: see gathered.
type gatherer struct{ net.Dialer }

// Dial satisfies nats.CustomDialer.
func (g *gatherer) Dial(network, address string) (net.Conn, error) {
	conn, err := g.Dialer.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return gather(conn), nil
}

// gathered is a connection that writes from a goroutine of its own, after all
// others that are ready to run. nats.go flushes as soon as anything is written,
// under the lock that every publish takes: a worker at full speed then makes a
// system call for every other message. Here they share one; a lone message goes
// out as soon as before. (A tenth of the CPU of worker and server together.)
//
// As with a socket's own buffer, Write says nothing about what arrives; an error
// is told by the next one, and ends the reading too: nats.go reconnects.
type gathered struct {
	net.Conn

	done chan struct{} // closed when nothing is written any more

	mu     sync.Mutex
	change sync.Cond
	buf    []byte
	closed bool
	err    error // of a write
}

func gather(conn net.Conn) *gathered {
	g := &gathered{Conn: conn, done: make(chan struct{})}
	g.change.L = &g.mu
	go g.write()
	return g
}

// Write adds to what is written next.
func (g *gathered) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.err == nil && !g.closed && len(g.buf) > 0 && len(g.buf)+len(b) > gatherBytes {
		g.change.Wait()
	}
	switch {
	case g.err != nil:
		return 0, g.err
	case g.closed:
		return 0, net.ErrClosed
	}
	g.buf = append(g.buf, b...)
	g.change.Broadcast()
	return len(b), nil
}

// write is the goroutine that writes, until the connection is closed and
// nothing is left, or a write fails.
func (g *gathered) write() {
	defer close(g.done)
	var spare []byte
	for {
		g.mu.Lock()
		for len(g.buf) == 0 && !g.closed {
			g.change.Wait()
		}
		g.mu.Unlock()
		runtime.Gosched() // whoever is about to write comes first
		g.mu.Lock()
		out := g.buf
		g.buf = spare[:0]
		g.change.Broadcast()
		g.mu.Unlock()
		if len(out) == 0 {
			return
		}
		if err := g.flush(out); err != nil {
			g.fail(err)
			_ = g.Conn.Close() // else it is read from for two more pings, and no ack leaves
			return
		}
		spare = out
	}
}

func (g *gathered) flush(out []byte) error {
	if err := g.limit(writeTimeout); err != nil {
		return err
	}
	_, err := g.Conn.Write(out)
	return err
}

// limit gives the present write, and those to come, so much time; a connection
// that is being closed keeps what it has.
func (g *gathered) limit(d time.Duration) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		d = closeTimeout
	}
	return g.Conn.SetWriteDeadline(time.Now().Add(d))
}

func (g *gathered) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err, g.buf = err, nil
	g.change.Broadcast()
}

// Close writes what is left, for a moment, and closes the connection.
func (g *gathered) Close() error {
	g.mu.Lock()
	g.closed = true
	g.change.Broadcast()
	g.mu.Unlock()
	err := g.limit(closeTimeout)
	if err == nil {
		<-g.done
	}
	return errors.Join(err, g.Conn.Close())
}

// SetDeadline is SetReadDeadline: nats.go's deadline of a write would end before
// the write begins.
func (g *gathered) SetDeadline(t time.Time) error { return g.SetReadDeadline(t) }

// SetWriteDeadline does nothing; see SetDeadline.
func (g *gathered) SetWriteDeadline(time.Time) error { return nil }
