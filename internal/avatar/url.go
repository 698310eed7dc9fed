package avatar

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/voip-push/worker/internal/voip"
)

const (
	maxURLBytes   = 2048
	maxHostBytes  = 253 // RFC 1035, 2.3.4, in text
	maxLabelBytes = 63
	portHTTPS     = 443
	portHTTP      = 80
)

// urlPolicy says which URLs may be fetched; every redirect is judged by it again.
type urlPolicy struct {
	private bool     // address literals and any port
	http    bool     // http beside https
	hosts   []string // as hostPattern gives them; empty: any
}

// check reads raw and refuses it as forbidden_url unless it is https (or http,
// where that is allowed), at most 2,048 bytes, without userinfo and fragment,
// with a host name that is allowed and the scheme's own port.
func (p *urlPolicy) check(raw string) (*url.URL, error) {
	if len(raw) > maxURLBytes {
		return nil, forbidden("the URL is over 2048 bytes", nil)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, forbidden("the URL cannot be parsed", err)
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	switch {
	case u.Scheme != schemeHTTPS && u.Scheme != schemeHTTP:
		return nil, forbidden("the source is none of https:, http:, data: and resource:", nil)
	case u.Scheme == schemeHTTP && !p.http:
		return nil, forbidden("http is not allowed", nil)
	case u.User != nil:
		return nil, forbidden("the URL has userinfo", nil)
	case strings.Contains(raw, "#"):
		return nil, forbidden("the URL has a fragment", nil)
	case u.Opaque != "" || host == "":
		return nil, forbidden("the URL has no host", nil)
	case !p.hostForm(host):
		return nil, forbidden("the URL's host is no host name", nil)
	case !p.port(u):
		return nil, forbidden("the URL's port is not its scheme's", nil)
	case !p.allowed(host):
		return nil, forbidden("the URL's host is not among the allowed ones", nil)
	}
	return u, nil
}

func forbidden(detail string, cause error) error {
	return fail(voip.AvatarForbiddenURL, detail, cause)
}

func (p *urlPolicy) hostForm(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return p.private && addr.Zone() == ""
	}
	return validHost(host)
}

func (p *urlPolicy) port(u *url.URL) bool {
	own := portHTTPS
	if u.Scheme == schemeHTTP {
		own = portHTTP
	}
	port := u.Port()
	if port == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && (p.private || int(n) == own)
}

func (p *urlPolicy) allowed(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.String()
	}
	return len(p.hosts) == 0 || slices.ContainsFunc(p.hosts, func(pattern string) bool {
		return host == pattern || strings.HasPrefix(pattern, ".") && strings.HasSuffix(host, pattern) && len(host) > len(pattern)
	})
}

// validHost says whether host (lower case) is a DNS name in ASCII: names in other scripts
// have to come as their A-labels (xn--…). What some resolvers read as an
// address, such as 127.1 or 0x7f000001, is none (WHATWG URL, "ends in a number").
func validHost(host string) bool {
	if len(host) > maxHostBytes {
		return false
	}
	last := ""
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > maxLabelBytes || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return !hostRune(r) }) {
			return false
		}
		last = label
	}
	return !strings.HasPrefix(last, "0x") && strings.Trim(last, "0123456789") != ""
}

func hostRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_'
}
