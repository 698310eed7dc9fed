package consumer

import (
	"sync/atomic"
	"time"
)

// Figures of the window.
const (
	// leastWindow keeps two cores busy: the broker's round trips are hidden
	// behind that many pushes, and more of them only cost memory.
	leastWindow = 512
	// throughput is what the window is made for, in pushes a second: with a
	// service time of t it is throughput × t (Little's law).
	throughput = 8000
	// smoothing is the share of one push in the mean, as a power of two.
	smoothing = 6
)

// window is how many pushes a worker runs at once, those that wait for a retry
// not counted. It follows the service time: quick pushes need few places, and
// those that wait for slow avatars and bridges need many.
type window struct {
	most int          // CONSUMER_MAX_IN_FLIGHT
	mean atomic.Int64 // service time, in nanoseconds
}

// observe takes the service time of a push that never waited for a retry. Two
// at once may lose one of them: a mean does not mind.
func (w *window) observe(took time.Duration) {
	mean := w.mean.Load()
	w.mean.Store(mean + (int64(took)-mean)>>smoothing)
}

// size is how many pushes may run.
func (w *window) size() int {
	n := int(time.Duration(w.mean.Load()) * throughput / time.Second)
	return min(max(n, leastWindow), w.most)
}
