package avatar

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/voip-push/worker/internal/voip"
)

func refusedBy(t testing.TB, g dialGuard, a netip.Addr, port uint16) bool {
	t.Helper()
	network := "tcp6"
	if a.Is4() {
		network = "tcp4"
	}
	err := g.control(network, netip.AddrPortFrom(a, port).String(), nil)
	if err == nil {
		return false
	}
	wrapped := &net.OpError{Op: "dial", Net: "tcp", Err: errors.Join(err)}
	if f := asFailure(wrapped); f.reason != voip.AvatarForbiddenAddress {
		t.Errorf("%v: %v, want forbidden_address", a, err)
	}
	return true
}

// embedded are the IPv6 addresses that can stand for an IPv4 one.
func embedded(v4 netip.Addr) map[string]netip.Addr {
	b := v4.As4()
	at := func(prefix string, offset int) netip.Addr {
		a := netip.MustParseAddr(prefix).As16()
		copy(a[offset:], b[:])
		return netip.AddrFrom16(a)
	}
	teredo := netip.MustParseAddr("2001:0:4136:e378:8000:63bf::").As16()
	for i, v := range b {
		teredo[12+i] = ^v
	}
	rfc6052 := netip.MustParseAddr("64:ff9b:1::").As16() // a /48: 16 bits, a zero byte, 16 bits
	copy(rfc6052[6:], b[:2])
	copy(rfc6052[9:], b[2:])
	return map[string]netip.Addr{
		"mapped":           at("::ffff:0:0", 12),
		"compatible":       at("::", 12),
		"translated":       at("::ffff:0:0:0", 12),
		"NAT64":            at("64:ff9b::", 12),
		"local NAT64":      netip.AddrFrom16(rfc6052),
		"6to4":             at("2002::", 2),
		"6to4, host":       at("2002::1", 2),
		"Teredo":           netip.AddrFrom16(teredo),
		"ISATAP":           at("2a00:1450::5efe:0:0", 12),
		"ISATAP, global":   at("2a00:1450::200:5efe:0:0", 12),
		"ISATAP, on a ULA": at("fd00::5efe:0:0", 12),
	}
}

var refusedV4 = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.8.8.8",
	"168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1",
	"192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
	"239.255.255.255", "240.0.0.1", "255.255.255.255",
}

func TestDialGuard(t *testing.T) {
	g := newDialGuard(urlPolicy{})
	for _, text := range refusedV4 {
		v4 := netip.MustParseAddr(text)
		if !refusedBy(t, g, v4, 443) {
			t.Errorf("%v was let through", v4)
		}
		for form, a := range embedded(v4) {
			if !refusedBy(t, g, a, 443) {
				t.Errorf("%v, the %s form of %v, was let through", a, form, v4)
			}
		}
	}
	for _, text := range []string{
		"::", "::1", "::1%lo", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fd00:ec2::254%eth0", "fd20:ce::254",
		"ff02::1", "ff0e::1", "100::1", "2001::1", "2001:2::1", "2001:db8::1", "2002::1", "3fff::1", "5f00::1", "64:ff9b::808:808",
		"::ffff:8.8.8.8", "2620:4f:8000::1", "2606:4700::1111%eth0",
	} {
		if a := netip.MustParseAddr(text); !refusedBy(t, g, a, 443) {
			t.Errorf("%v was let through", a)
		}
	}
	for _, text := range []string{"1.1.1.1", "8.8.8.8", "168.63.129.15", "172.32.0.1", "2606:4700::1111", "2a00:1450::200e", "2a00:1450::5efe:808:808"} {
		if a := netip.MustParseAddr(text); refusedBy(t, g, a, 443) {
			t.Errorf("%v was refused", a)
		}
	}
}

func TestDialGuardPortsAndNetworks(t *testing.T) {
	public := netip.MustParseAddr("8.8.8.8")
	for _, test := range []struct {
		policy urlPolicy
		port   uint16
		ok     bool
	}{
		{urlPolicy{}, 443, true},
		{urlPolicy{}, 80, false},
		{urlPolicy{http: true}, 80, true},
		{urlPolicy{http: true}, 443, true},
		{urlPolicy{http: true}, 22, false},
		{urlPolicy{private: true}, 22, true},
	} {
		if refused := refusedBy(t, newDialGuard(test.policy), public, test.port); refused == test.ok {
			t.Errorf("%+v: port %d refused: %t", test.policy, test.port, refused)
		}
	}
	for _, network := range []string{"udp4", "unix", "tcp"} {
		if newDialGuard(urlPolicy{}).control(network, "8.8.8.8:443", nil) == nil {
			t.Errorf("network %s was let through", network)
		}
	}
	if newDialGuard(urlPolicy{}).control("tcp4", "host.example:443", nil) == nil {
		t.Error("an address that is none was let through")
	}
}

func TestDialGuardWithPrivateAllowed(t *testing.T) {
	g := newDialGuard(urlPolicy{private: true})
	for _, text := range []string{"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1", "8.8.8.8", "2606:4700::1111"} {
		if a := netip.MustParseAddr(text); refusedBy(t, g, a, 8080) {
			t.Errorf("%v was refused", a)
		}
	}
	for _, text := range []string{
		"169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "224.0.0.1", "255.255.255.255", "fe80::1", "fe80::1%eth0",
		"fd00:ec2::254", "fd20:ce::254", "fd00:42::42", "ff02::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
	} {
		if a := netip.MustParseAddr(text); !refusedBy(t, g, a, 8080) {
			t.Errorf("%v was let through", a)
		}
	}
}

func FuzzDialGuard(f *testing.F) {
	for _, text := range refusedV4 {
		b := netip.MustParseAddr(text).As4()
		f.Add(b[:])
	}
	f.Add([]byte{8, 8, 8, 8})
	g := newDialGuard(urlPolicy{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 4 {
			return
		}
		v4 := netip.AddrFrom4([4]byte(b))
		if special := v4.IsPrivate() || v4.IsLoopback() || v4.IsLinkLocalUnicast() || v4.IsMulticast() || v4.IsUnspecified(); special && !refusedBy(t, g, v4, 443) {
			t.Errorf("%v was let through", v4)
		}
		if !refusedBy(t, g, v4, 443) {
			return
		}
		for form, a := range embedded(v4) {
			if !refusedBy(t, g, a, 443) {
				t.Errorf("%v, the %s form of %v, was let through", a, form, v4)
			}
		}
	})
}
