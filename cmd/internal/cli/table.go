package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Table prints rows under aligned columns; the first row says what they are.
// Nothing is printed when there is no other.
func Table(w io.Writer, rows [][]string) {
	if len(rows) < 2 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	_ = t.Flush() // to a terminal or a pipe that may have gone
}

// JSON prints a value as one line of JSON.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

// Clock is a time as tables show it.
func Clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// Since checks a flag of how far back to look, and returns from when on.
func Since(flag string, d time.Duration) (time.Time, error) {
	if d < 0 {
		return time.Time{}, Usage(fmt.Errorf("--%s %s: want a duration of 0 or more, such as 10m", flag, d))
	}
	if d == 0 {
		return time.Time{}, nil
	}
	return time.Now().Add(-d), nil
}
