package avatar

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"github.com/voip-push/worker/internal/voip"
)

// The limits of one exchange, all within the picture's budget.
const (
	dialTimeout    = 500 * time.Millisecond // resolving included
	tlsTimeout     = 500 * time.Millisecond
	headerTimeout  = 800 * time.Millisecond
	maxHeaderBytes = 16 << 10
	idleTimeout    = 30 * time.Second
	maxIdle        = 64
	maxIdlePerHost = 4
	streamBuffer   = 128 << 10 // HTTP/2 flow control, for one picture
	connBuffer     = 1 << 20   // HTTP/2 flow control, for one host
)

// The addresses that no setting opens: those at which clouds tell a machine
// its credentials, and link-local ones, which are theirs as well.
//
//nolint:gochecknoglobals // a table of constants, read only
var never = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),     // AWS, Azure, GCP and others: 169.254.169.254
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure's host, in public space
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud, in CGNAT space
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle Cloud, the older form
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("fd00:ec2::/32"),    // AWS
	netip.MustParsePrefix("fd20:ce::254/128"), // GCP
	netip.MustParsePrefix("fd00:42::42/128"),  // Scaleway
}

// The addresses that AVATAR_ALLOW_PRIVATE opens.
//
//nolint:gochecknoglobals // tables of constants, read only
var (
	privateV4 = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	}
	privateV6 = []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7")}
)

// dialGuard judges an address after it was resolved and before a socket is
// connected to it, so that no name, redirect or DNS answer gets around it.
type dialGuard struct{ rules *ssrf.Guardian }

func newDialGuard(p urlPolicy) dialGuard {
	switch {
	case p.private:
		return dialGuard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(privateV4...), ssrf.WithAllowedV6Prefixes(privateV6...))}
	case p.http:
		return dialGuard{ssrf.New()} // 80 and 443
	default:
		return dialGuard{ssrf.New(ssrf.WithPorts(portHTTPS))}
	}
}

// control is for net.Dialer.Control. Its error is forbidden_address.
func (g dialGuard) control(network, address string, c syscall.RawConn) error {
	if to, err := netip.ParseAddrPort(address); err == nil && g.never(to.Addr()) {
		return fail(voip.AvatarForbiddenAddress, refusedAddress, nil)
	}
	if err := g.rules.Safe(network, address, c); err != nil {
		return fail(voip.AvatarForbiddenAddress, refusedAddress, err)
	}
	return nil
}

const refusedAddress = "the host's address may not be reached"

func (g dialGuard) never(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if v4, ok := isatap(a); ok && (g.never(v4) || g.rules.SafeAddr(v4) != nil) {
		return true
	}
	return slices.ContainsFunc(never, func(p netip.Prefix) bool { return p.Contains(a) })
}

// isatap is the IPv4 address in the interface identifier ::0:5efe:a.b.c.d of
// RFC 5214, the one embedded form that lies in global unicast space.
func isatap(a netip.Addr) (netip.Addr, bool) {
	b := a.As16()
	if !a.Is6() || b[8]&^2 != 0 || b[9] != 0 || b[10] != 0x5e || b[11] != 0xfe {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4([4]byte(b[12:])), true
}

func newDialer(g dialGuard) *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, Control: g.control, Resolver: &net.Resolver{PreferGo: true}}
}

// newTransport has no proxy (one would resolve the name itself, behind the
// guard's back), no cookies, and asks for no compression.
func newTransport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		ForceAttemptHTTP2:      true,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream: streamBuffer, MaxReceiveBufferPerConnection: connBuffer,
		},
	}
}
