package callkit

import (
	"runtime"
	"strconv"
	"testing"
)

// BenchmarkReport is the hot path: a new call each time, as a flood brings them.
func BenchmarkReport(b *testing.B) {
	for _, named := range []bool{false, true} {
		name := map[bool]string{false: "own device", true: "named device"}[named]
		b.Run(name, func(b *testing.B) {
			m, r := New(Options{}), request("c")
			b.ReportAllocs()
			before := heap()
			b.ResetTimer()
			for i := range b.N {
				id := strconv.Itoa(i)
				r.Attribute.CallID, r.IdempotencyKey = id, id+".r0.a1"
				if named {
					r.DeviceID = id
				}
				if _, err := m.Report(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			b.ReportMetric(float64(heap()-before)/float64(b.N), "held-B/call")
			runtime.KeepAlive(m)
		})
	}
}
