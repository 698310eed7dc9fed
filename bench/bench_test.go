package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// TestConfig: what the servers are told is what a server reads.
func TestConfig(t *testing.T) {
	for name, tt := range map[string]struct {
		routes []string
		sync   string
	}{
		"alone":   {routes: []string{"127.0.0.1:6222"}},
		"cluster": {routes: []string{"127.0.0.1:6222", "127.0.0.1:6223", "127.0.0.1:6224"}, sync: "always"},
	} {
		file := filepath.Join(t.TempDir(), "nats.conf")
		if err := os.WriteFile(file, []byte(config(0, "127.0.0.1:4222", t.TempDir(), tt.routes, tt.sync)), 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := server.ProcessConfigFile(file)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cluster := len(tt.routes) > 1
		if o.Port != 4222 || o.Host != "127.0.0.1" || o.SyncAlways != (tt.sync == "always") || cluster != (o.Cluster.Port == 6222) || cluster && len(o.Routes) != 3 {
			t.Errorf("%s: %s:%d, always %t, cluster port %d, routes %v", name, o.Host, o.Port, o.SyncAlways, o.Cluster.Port, o.Routes)
		}
	}
}

func TestFreeAddrs(t *testing.T) {
	addrs, err := freeAddrs(t.Context(), 6)
	seen := map[string]bool{}
	for _, a := range addrs {
		seen[a] = true
	}
	if err != nil || len(seen) != 6 {
		t.Errorf("%v (%v), want six of them", addrs, err)
	}
}

func TestMiddle(t *testing.T) {
	for _, tt := range []struct {
		of   []float64
		want float64
	}{{[]float64{9, 1, 5}, 5}, {[]float64{9, 1, 5, 6}, 5.5}, {[]float64{7}, 7}} {
		if got := median(tt.of); got != tt.want {
			t.Errorf("the median of %v is %v, want %v", tt.of, got, tt.want)
		}
	}
	l := latencies{1, 2, 3, 4, 5, 6, 7, 8, 9, 10 * time.Second}
	if l.at(.5) != 6 || l.at(.99) != 10*time.Second || l.at(1) != 10*time.Second {
		t.Errorf("p50 %v, p99 %v, p100 %v", l.at(.5), l.at(.99), l.at(1))
	}
}

// TestContenders: each is asked for by its name, with other builds beside it,
// and has its turn with every number of workers and servers.
func TestContenders(t *testing.T) {
	for name, tt := range map[string]struct {
		options
		want []string
	}{
		"by name": {
			options{only: "null,worker-msgid,old-always", against: "old=/bin/old", workers: []int{1}, servers: []int{1}},
			[]string{"null ", "worker-msgid /bin/new", "old-always /bin/old"},
		},
		"scaled": {
			options{only: "worker-msgid", workers: []int{1, 4}, servers: []int{1, 3}},
			[]string{"worker-msgid /bin/new", "worker-msgid x4 /bin/new", "worker-msgid R3 /bin/new", "worker-msgid x4 R3 /bin/new"},
		},
		"none": {options{only: "nil", workers: []int{1}, servers: []int{1}}, nil},
	} {
		var got []string
		for _, c := range contenders(tt.options, &binaries{worker: "/bin/new"}, "http://127.0.0.1/p") {
			got = append(got, c.label()+" "+c.args[0])
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestCounts(t *testing.T) {
	for in, want := range map[string][]int{"3": {3}, "1,2,4": {1, 2, 4}, "": nil, "0": nil, "1,": nil, "6": nil, "two": nil} {
		got := []int{1}
		if err := counts(&got, 5)(in); (err == nil) != (want != nil) || err == nil && !slices.Equal(got, want) {
			t.Errorf("%q: %v (%v), want %v", in, got, err, want)
		}
	}
}
