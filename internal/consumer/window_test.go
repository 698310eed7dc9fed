package consumer

import (
	"testing"
	"time"
)

func TestWindowFollowsTheServiceTime(t *testing.T) {
	for _, tt := range []struct {
		took time.Duration
		most int
		want int
	}{
		{took: 0, most: 1024, want: leastWindow},
		{took: 5 * time.Millisecond, most: 1024, want: leastWindow},
		{took: 96 * time.Millisecond, most: 1024, want: 768},
		{took: 3 * time.Second, most: 1024, want: 1024},
		{took: 3 * time.Second, most: 8, want: 8},
		{took: time.Hour, most: 65536, want: 65536},
	} {
		w := window{most: tt.most}
		for range 2000 {
			w.observe(tt.took)
		}
		if got := w.size(); got < tt.want-tt.want/50 || got > tt.want {
			t.Errorf("pushes that take %v: %d at once, want %d", tt.took, got, tt.want)
		}
	}
}
