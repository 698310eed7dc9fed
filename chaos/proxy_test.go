package chaos

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxies are the links that can be cut, slowed and reset.
type proxies struct {
	t      *testing.T
	server *toxiproxy.ApiServer
}

func newProxies(t *testing.T) *proxies {
	p := &proxies{t: t, server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
	t.Cleanup(func() {
		if err := p.server.Collection.Clear(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// add makes a proxy to a server, and returns where it listens.
func (p *proxies) add(name, to string) string {
	p.t.Helper()
	proxy := toxiproxy.NewProxy(p.server, name, address(port(p.t)), to)
	if err := p.server.Collection.Add(proxy, true); err != nil {
		p.t.Fatal(err)
	}
	return proxy.Listen
}

func (p *proxies) get(name string) *toxiproxy.Proxy {
	p.t.Helper()
	proxy, err := p.server.Collection.Get(name)
	if err != nil {
		p.t.Fatal(err)
	}
	return proxy
}

// cut ends every connection of a proxy, and lets no new one in.
func (p *proxies) cut(names ...string) {
	for _, name := range names {
		p.get(name).Stop()
	}
}

func (p *proxies) mend(names ...string) {
	p.t.Helper()
	for _, name := range names {
		if err := p.get(name).Start(); err != nil {
			p.t.Fatal(err)
		}
	}
}

// poison adds a toxic to a proxy until the returned cure: "latency" with
// {"latency":100,"jitter":50}, "reset_peer" with {"timeout":0}.
func (p *proxies) poison(name, kind, stream, attributes string) (cure func()) {
	p.t.Helper()
	toxics := p.get(name).Toxics
	body := fmt.Sprintf(`{"name":%q,"type":%q,"stream":%q,"attributes":%s}`, kind+stream, kind, stream, attributes)
	if _, err := toxics.AddToxicJson(strings.NewReader(body)); err != nil {
		p.t.Fatal(err)
	}
	return func() {
		if err := toxics.RemoveToxic(p.t.Context(), kind+stream); err != nil {
			p.t.Error(err)
		}
	}
}
