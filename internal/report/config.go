package report

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds the attempts.
type Config struct {
	Timeout        time.Duration // of one attempt
	Concurrency    int           // attempts at once, over all calls
	MaxAttempts    int           // answers that are retried "few" times; the last ends the call
	BackoffInitial time.Duration
	BackoffMax     time.Duration
}

// Validate names everything that is wrong with the settings.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, name string, got any, want string) {
		if !ok {
			errs = append(errs, fmt.Errorf("report: %s is %v, want %s", name, got, want))
		}
	}
	need(c.Timeout > 0, "Timeout", c.Timeout, "more than 0")
	need(c.Concurrency > 0, "Concurrency", c.Concurrency, "at least 1")
	need(c.MaxAttempts > 0, "MaxAttempts", c.MaxAttempts, "at least 1")
	need(c.BackoffInitial > 0, "BackoffInitial", c.BackoffInitial, "more than 0")
	need(c.BackoffMax >= c.BackoffInitial, "BackoffMax", c.BackoffMax, "at least BackoffInitial")
	return errors.Join(errs...)
}
