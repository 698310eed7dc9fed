package report

import (
	"container/heap"
	"testing"
	"time"
)

// TestHoldsNewest: the call that came last can be taken out of the middle, and
// the others keep their order.
func TestHoldsNewest(t *testing.T) {
	var h holds
	at := time.Now()
	add := func(entered uint64, left time.Duration) *hold {
		c := &hold{entered: entered, deadline: at.Add(left), permit: make(chan permit, 1)}
		heap.Push(&h, c)
		return c
	}
	urgent, last, patient := add(1, time.Second), add(9, 2*time.Second), add(2, time.Minute)
	for _, want := range []struct {
		take func() chan<- permit
		c    *hold
	}{{h.newest, last}, {h.next, urgent}, {h.newest, patient}} {
		if want.take() != want.c.permit || want.c.index != -1 {
			t.Fatalf("the wrong call was taken, or it is still in the heap: %+v", want.c)
		}
	}
	if h.Len() != 0 {
		t.Errorf("%d are left", h.Len())
	}
}
