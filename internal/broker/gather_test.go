package broker

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// What many goroutines write arrives whole, each one's in its order.
func TestGather(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	g := gather(near)
	received := make(chan []byte, 1)
	go func() {
		b, err := io.ReadAll(far)
		if err != nil {
			t.Errorf("read: %v", err)
		}
		received <- b
	}()
	const writers, each = 8, 200
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, err := fmt.Fprintf(g, "%d %d\n", w, i); err != nil {
					t.Errorf("write: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if err := g.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	next := [writers]int{}
	for line := range bytes.Lines(<-received) {
		var w, i int
		if _, err := fmt.Sscanf(string(line), "%d %d\n", &w, &i); err != nil || next[w] != i {
			t.Fatalf("line %q after %d of that writer: %v", line, next[w], err)
		}
		next[w]++
	}
	if next != [writers]int{each, each, each, each, each, each, each, each} {
		t.Errorf("arrived: %v", next)
	}
	if _, err := g.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after the end: %v", err)
	}
}

// A server that does not read is given some time, and then the connection up:
// nobody waits for good, and what is written later is refused.
func TestGatherWithoutAReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		g := gather(near)
		began := time.Now()
		big := make([]byte, gatherBytes)
		var err error
		for range 3 { // one is being written, one waits, one has no room
			if _, err = g.Write(big); err != nil {
				break
			}
			synctest.Wait()
		}
		if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != writeTimeout {
			t.Errorf("%v after %v, want a timeout after %v", err, took, writeTimeout)
		}
		if n, err := g.Read(big); err == nil {
			t.Errorf("%d bytes are still read: nats.go does not learn that nothing is written", n)
		}
	})
}

// Closing does not wait for a server that does not read.
func TestGatherClosesInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		g := gather(near)
		if _, err := g.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		began := time.Now()
		if err := g.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(began); took != closeTimeout {
			t.Errorf("closed after %v, want %v", took, closeTimeout)
		}
	})
}
