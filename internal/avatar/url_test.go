package avatar

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/voip-push/worker/internal/voip"
)

func TestURLPolicy(t *testing.T) {
	public := &urlPolicy{}
	plain := &urlPolicy{http: true}
	private := &urlPolicy{private: true, http: true}
	listed := &urlPolicy{hosts: []string{"one.example", ".many.example"}}
	for _, test := range []struct {
		policy *urlPolicy
		raw    string
		ok     bool
	}{
		{public, "https://host.example/a.png", true},
		{public, "HTTPS://HOST.example/a.png?size=96&x=%23", true},
		{public, "https://host.example:443/a.png", true},
		{public, "https://host.example", true},
		{public, "https://host.example./a.png", true},
		{public, "https://xn--bcher-kva.example/", true},
		{public, "https://a_b.example/", true},
		{public, "https://localhost/", true}, // a name: the dial guard's to refuse
		{public, "http://host.example/a.png", false},
		{plain, "http://host.example/a.png", true},
		{plain, "http://host.example:80/a.png", true},
		{plain, "http://host.example:443/a.png", false},
		{plain, "https://host.example:80/a.png", false},
		{public, "https://host.example:8443/a.png", false},
		{public, "https://host.example:0443/a.png", true},
		{public, "https://host.example:/a.png", false},
		{public, "https://host.example:443443/a.png", false},
		{public, "https://user@host.example/a.png", false},
		{public, "https://user:password@host.example/a.png", false},
		{public, "https://@host.example/a.png", false},
		{public, "https://host.example@169.254.169.254/", false},
		{public, "https://host.example/a.png#fragment", false},
		{public, "https://host.example/a.png#", false},
		{public, "https:host.example/a.png", false},
		{public, "https:///a.png", false},
		{public, "https://", false},
		{public, "https://:443/", false},
		{public, "//host.example/a.png", false},
		{public, "ftp://host.example/a.png", false},
		{public, "https://127.0.0.1/", false},
		{public, "https://8.8.8.8/", false},
		{public, "https://[::1]/", false},
		{public, "https://[2606:4700::1111]/", false},
		{public, "https://[::ffff:127.0.0.1]/", false},
		{public, "https://[fe80::1%25eth0]/", false},
		{public, "https://2130706433/", false},
		{public, "https://0x7f000001/", false},
		{public, "https://0x7f.1/", false},
		{public, "https://127.1/", false},
		{public, "https://0177.0.0.1/", false},
		{public, "https://host.1/", false},
		{public, "https://host.0x1/", false},
		{public, "https://bücher.example/", false},
		{public, "https://１２７.0.0.1/", false},
		{public, "https://host%2eexample/", false},
		{public, "https://host .example/", false},
		{public, "https://host.example\\@evil.example/", false},
		{public, "https://ho\nst.example/", false},
		{public, "https://-host.example/", false},
		{public, "https://host..example/", false},
		{public, "https://" + strings.Repeat("a", 64) + ".example/", false},
		{public, "https://" + strings.Repeat("a.", 130) + "example/", false},
		{public, "https://host.example/" + strings.Repeat("a", 2048-21), true},
		{public, "https://host.example/" + strings.Repeat("a", 2048-20), false},
		{private, "https://127.0.0.1:8443/a.png", true},
		{private, "http://[::1]:8080/a.png", true},
		{private, "http://host.example:1234/", true},
		{private, "http://host.example:0/", false},
		{private, "http://host.example:65536/", false},
		{private, "http://[fe80::1%25eth0]/", false},
		{private, "http://127.1/", false},
		{private, "http://user@127.0.0.1/", false},
		{listed, "https://one.example/", true},
		{listed, "https://ONE.example./", true},
		{listed, "https://sub.one.example/", false},
		{listed, "https://notone.example/", false},
		{listed, "https://a.many.example/", true},
		{listed, "https://b.a.many.example/", true},
		{listed, "https://many.example/", false},
		{listed, "https://notmany.example/", false},
		{listed, "https://one.example.evil.example/", false},
	} {
		u, err := test.policy.check(test.raw)
		if (err == nil) != test.ok {
			t.Errorf("%.60q: %v, want legal: %t", test.raw, err, test.ok)
		}
		if err == nil && u == nil || err != nil && asFailure(err).reason != voip.AvatarForbiddenURL {
			t.Errorf("%.60q: %v, want forbidden_url", test.raw, err)
		}
	}
}

func FuzzURL(f *testing.F) {
	for _, raw := range []string{
		"https://host.example/a.png", "https://user@host.example:443/#x", "https://[::1]/", "https://127.1/", "https://0x7f.1",
		"https://host.example:8443/", "http://host.example/", "https://a.many.example./?q", "https://host\\@evil/", "https://１.1.1.1/",
	} {
		f.Add(raw)
	}
	policy := &urlPolicy{hosts: []string{".example", "example.net"}}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := policy.check(raw)
		if err != nil {
			return
		}
		sent, err := url.Parse(u.String()) // what a request would be made of
		if err != nil {
			t.Fatalf("%q was accepted and reads %q, which cannot be parsed", raw, u)
		}
		host := sent.Hostname()
		_, noAddress := netip.ParseAddr(host)
		if sent.Scheme != "https" || sent.User != nil || sent.Fragment != "" || noAddress == nil || len(raw) > 2048 ||
			sent.Port() != "" && strings.TrimLeft(sent.Port(), "0") != "443" {
			t.Errorf("%q was accepted", raw)
		}
		host = strings.TrimSuffix(strings.ToLower(host), ".")
		if !strings.HasSuffix(host, ".example") && host != "example.net" {
			t.Errorf("%q was accepted although its host is not listed", raw)
		}
	})
}
