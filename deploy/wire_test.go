package deploy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/testkit"
)

// wire is the server's log: who said what, as the server has read it.
type wire struct {
	mu      sync.Mutex
	users   map[string]string              // by connection
	said    map[string]map[string][]string // subjects by user and PUB or SUB
	refused []string
}

var (
	connected = regexp.MustCompile(`cid:(\d+).*<<- \[CONNECT .*"user":"([\w-]+)"`)
	operation = regexp.MustCompile(`cid:(\d+).*<<- \[H?(PUB|SUB) (\S+)`)
)

// Tracef is told of every operation, among them those that are refused.
func (w *wire) Tracef(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := connected.FindStringSubmatch(line); m != nil {
		if w.users == nil {
			w.users, w.said = map[string]string{}, map[string]map[string][]string{}
		}
		w.users[m[1]] = m[2]
		return
	}
	m := operation.FindStringSubmatch(line)
	if m == nil {
		return
	}
	user := w.users[m[1]]
	if w.said[user] == nil {
		w.said[user] = map[string][]string{}
	}
	w.said[user][m[2]] = append(w.said[user][m[2]], strings.TrimSuffix(m[3], "]"))
}

// Errorf is told of every refusal.
func (w *wire) Errorf(format string, v ...any) {
	if line := fmt.Sprintf(format, v...); strings.Contains(line, "Violation") {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refused = append(w.refused, line)
	}
}

func (*wire) Noticef(string, ...any) {}
func (*wire) Warnf(string, ...any)   {}
func (*wire) Fatalf(string, ...any)  {}
func (*wire) Debugf(string, ...any)  {}

func (w *wire) subjects(user, op string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.said[user][op])
}

func (w *wire) refusals() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.refused)
}

// wait waits until a user has said something that a pattern of subjects covers.
func (w *wire) wait(t *testing.T, user, op, pattern string) {
	t.Helper()
	testkit.Eventually(t, user+" "+op+" "+pattern, func() bool { return w.has(user, op, pattern) })
}

func (w *wire) has(user, op, pattern string) bool {
	return w.count(user, op, pattern) > 0
}

// count is how often a user has said something that a pattern covers.
func (w *wire) count(user, op, pattern string) (n int) {
	for _, s := range w.subjects(user, op) {
		if covers(pattern, s) {
			n++
		}
	}
	return n
}

// connection is a user's only one.
func (w *wire) connection(t *testing.T, user string) uint64 {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for cid, name := range w.users {
		if name == user {
			id, err := strconv.ParseUint(cid, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
	}
	t.Fatalf("%s has no connection", user)
	return 0
}

// mustRefuse waits for the server's no to what was just asked.
func mustRefuse(t *testing.T, what string, refused <-chan error, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	timer := time.NewTimer(5 * time.Second)
	defer timer.Stop()
	select {
	case err := <-refused:
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("%s: %v, want a permissions violation", what, err)
		}
	case <-timer.C:
		t.Errorf("%s, and is not refused", what)
	}
}
