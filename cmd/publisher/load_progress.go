package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a run has come.
type progress interface {
	// follow shows it until ctx ends.
	follow(ctx context.Context, figures func() (sent, results, unstored int64))
}

// newProgress is a bar on a terminal, and a line now and then elsewhere.
func newProgress(w io.Writer, count int) progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &bar{w, count}
	}
	return &lines{w, count, lineEvery}
}

const (
	lineEvery = 5 * time.Second
	barEvery  = 100 * time.Millisecond
)

// every calls show again and again, and a last time when ctx ends.
func every(ctx context.Context, d time.Duration, show func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			show()
		case <-ctx.Done():
			show()
			return
		}
	}
}

type lines struct {
	w     io.Writer
	count int
	every time.Duration
}

func (l *lines) follow(ctx context.Context, figures func() (sent, results, unstored int64)) {
	every(ctx, l.every, func() {
		sent, results, unstored := figures()
		fmt.Fprintf(l.w, "%d of %d sent, %d results, %d not stored\n", sent, l.count, results, unstored)
	})
}

type bar struct {
	w     io.Writer
	count int
}

func (b *bar) follow(ctx context.Context, figures func() (sent, results, unstored int64)) {
	p := progressbar.NewOptions(b.count, progressbar.OptionSetWriter(b.w), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString("results"), progressbar.OptionSetPredictTime(true))
	every(ctx, barEvery, func() {
		sent, results, unstored := figures()
		p.Describe(fmt.Sprintf("%d sent, %d not stored", sent, unstored))
		_ = p.Set64(min(results, int64(b.count))) // a terminal that has gone misses the rest
	})
	fmt.Fprintln(b.w)
}
