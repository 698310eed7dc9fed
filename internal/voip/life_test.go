package voip_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/voip-push/worker/internal/voip"
)

type header map[string]string

func (h header) Get(key string) string { return h[key] }

func TestDeadline(t *testing.T) {
	ago := func(d time.Duration) time.Time { return at(0).Add(d) }
	none := time.Time{}
	tests := []struct {
		name      string
		direction voip.Direction
		ttl       time.Duration
		expiresAt time.Time
		redriven  bool
		want      time.Time
	}{
		{"the call's life", voip.Outgoing, time.Minute, none, false, ago(time.Minute)},
		{"an incoming call", voip.Incoming, time.Minute, none, false, ago(10 * time.Second)},
		{"an incoming call of 10 s", voip.Incoming, 10 * time.Second, none, false, ago(10 * time.Second)},
		{"a shorter incoming call", voip.Incoming, 9 * time.Second, none, false, ago(9 * time.Second)},
		{"the header brings it forward", voip.Outgoing, time.Minute, ago(time.Second), false, ago(time.Second)},
		{"the header brings an incoming call's forward", voip.Incoming, time.Minute, ago(9 * time.Second), false, ago(9 * time.Second)},
		{"the header is in the past", voip.Outgoing, time.Minute, ago(-time.Hour), false, ago(-time.Hour)},
		{"the header puts nothing off", voip.Outgoing, time.Minute, ago(61 * time.Second), false, ago(time.Minute)},
		{"the header puts an incoming call's nothing off", voip.Incoming, time.Minute, ago(11 * time.Second), false, ago(10 * time.Second)},
		{"a redriven push has the header alone", voip.Outgoing, time.Minute, ago(5 * time.Minute), true, ago(5 * time.Minute)},
		{"a redriven incoming call too", voip.Incoming, time.Second, ago(5 * time.Minute), true, ago(5 * time.Minute)},
		{"a redriven push with an earlier header", voip.Outgoing, time.Minute, ago(time.Second), true, ago(time.Second)},
		{"a redriven push without one", voip.Outgoing, time.Minute, none, true, ago(time.Minute)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := voip.Push{Direction: tt.direction, TTL: tt.ttl}
			if got := p.Deadline(at(0), tt.expiresAt, tt.redriven); !got.Equal(tt.want) {
				t.Errorf("got %v, want %v", got.Sub(at(0)), tt.want.Sub(at(0)))
			}
		})
	}
}

func TestExpiresAtOf(t *testing.T) {
	tests := []struct {
		value string
		want  time.Time
		err   string
	}{
		{"", time.Time{}, ""},
		{"2026-01-02T03:04:05Z", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ""},
		{"2026-01-02T03:04:05.678901234Z", at(0), ""},
		{"2026-01-02T11:04:05.678901234+08:00", at(0), ""},
		{"2026-01-02t11:04:05.678901234+08:00", at(0), ""},
		{"2026-01-02t03:04:05z", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), ""},
		{"0001-01-01T00:00:00Z", time.Time{}.Add(1), ""}, // the zero time would be none
		{"0000-01-01T00:00:00+01:00", time.Time{}.Add(1), ""},
		{"9999-12-31T23:59:59.5Z", time.Date(9999, 12, 31, 23, 59, 59, 5e8, time.UTC), ""},
		{"9999-12-31T23:59:59-01:00", time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), ""},
		{"2026-01-02 03:04:05", time.Time{}, `Voip-Expires-At is "2026-01-02 03:04:05", want a time as in RFC 3339`},
		{"1767323045", time.Time{}, `Voip-Expires-At is "1767323045", want a time as in RFC 3339`},
		{strings.Repeat("x", 41), time.Time{}, `Voip-Expires-At is "` + strings.Repeat("x", 40) + `…", want a time as in RFC 3339`},
	}
	for _, tt := range tests {
		got, err := voip.ExpiresAtOf(header{"Voip-Expires-At": tt.value})
		if !got.Equal(tt.want) || text(err) != tt.err {
			t.Errorf("%q: got %v, %v, want %v, %q", tt.value, got, err, tt.want, tt.err)
		}
		if _, err := got.MarshalText(); err != nil {
			t.Errorf("%q cannot be written: %v", tt.value, err)
		}
	}
}

func TestRedriveOf(t *testing.T) {
	tests := []struct {
		count, origin string
		want          voip.Redrive
		err           string
	}{
		{"", "", voip.Redrive{}, ""},
		{"", "12", voip.Redrive{}, ""},
		{"0", "", voip.Redrive{}, ""},
		{"00", "", voip.Redrive{}, ""},
		{"1", "12", voip.Redrive{Count: 1, Origin: 12}, ""},
		{"3", "18446744073709551615", voip.Redrive{Count: 3, Origin: math.MaxUint64}, ""},
		{"one", "12", voip.Redrive{}, `Voip-Redrives is "one", want a whole number`},
		{"-1", "12", voip.Redrive{}, `Voip-Redrives is "-1", want a whole number`},
		{"1.5", "12", voip.Redrive{}, `Voip-Redrives is "1.5", want a whole number`},
		{"2147483648", "12", voip.Redrive{}, `Voip-Redrives is "2147483648", want a whole number`},
		{"1", "", voip.Redrive{Count: 1, Origin: 99}, `Voip-Origin-Sequence is "" beside Voip-Redrives, want a stream sequence`},
		{"1", "0", voip.Redrive{Count: 1, Origin: 99}, `Voip-Origin-Sequence is "0" beside Voip-Redrives, want a stream sequence`},
		{"1", "-1", voip.Redrive{Count: 1, Origin: 99}, `Voip-Origin-Sequence is "-1" beside Voip-Redrives, want a stream sequence`},
	}
	for _, tt := range tests {
		got, err := voip.RedriveOf(header{"Voip-Redrives": tt.count, "Voip-Origin-Sequence": tt.origin}, 99)
		if got != tt.want || text(err) != tt.err {
			t.Errorf("%q, %q: got %+v, %v, want %+v, %q", tt.count, tt.origin, got, err, tt.want, tt.err)
		}
	}
}
