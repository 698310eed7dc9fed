package testkit

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// Log keeps what is logged, for tests of what an operator reads.
type Log struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

// Logger writes into the log, whatever the level.
func (l *Log) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// Write is for the logger.
func (l *Log) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(line)
}

// String is all that was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

// Wait waits until a line holds the words.
func (l *Log) Wait(t testing.TB, words string) {
	t.Helper()
	Eventually(t, "a log line with "+words, func() bool { return strings.Contains(l.String(), words) })
}
