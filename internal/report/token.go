package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// token is a bearer token in a file, which is read again when the file
// changes: a secret that is rotated needs no restart.
type token struct {
	path string
	log  *slog.Logger

	mu      sync.Mutex
	value   string
	changed time.Time
	size    int64
	failed  bool // the last look at the file failed, and that was logged
}

// newToken reads the file for the first time.
func newToken(path string, log *slog.Logger) (*token, error) {
	t := &token{path: path, log: log}
	return t, t.refresh()
}

// get is the token as it is now. While the file cannot be read the last one
// goes on: it may well be valid still.
func (t *token) get(ctx context.Context) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	err := t.refresh()
	if err != nil && !t.failed {
		t.log.WarnContext(ctx, "the report token cannot be read again; the last one is used", slog.Any("error", err))
	}
	t.failed = err != nil
	return t.value
}

func (t *token) refresh() error {
	info, err := os.Stat(t.path)
	if err != nil {
		return fmt.Errorf("report token: %w", err)
	}
	if t.value != "" && info.ModTime().Equal(t.changed) && info.Size() == t.size {
		return nil
	}
	b, err := os.ReadFile(t.path)
	if err != nil {
		return fmt.Errorf("report token: %w", err)
	}
	value := strings.TrimSpace(string(b))
	if err := checkToken(value); err != nil {
		return fmt.Errorf("report token in %s %w", t.path, err)
	}
	t.value, t.changed, t.size = value, info.ModTime(), info.Size()
	return nil
}

// checkToken refuses what cannot stand in a header, without showing it.
func checkToken(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("holds a space, a control character or one beyond ASCII, want one token")
	}
	return nil
}
