package avatar

import (
	"strings"
	"testing"
	"time"
)

func TestFaults(t *testing.T) {
	for variable, change := range map[string]func(*Config){
		"AVATAR_POLICY":           func(c *Config) { c.Policy = "lenient" },
		"AVATAR_MAX_BYTES":        func(c *Config) { c.MaxBytes = 0 },
		"AVATAR_MAX_SOURCE_BYTES": func(c *Config) { c.MaxSourceBytes = maxSourceBytes + 1 },
		"AVATAR_TIMEOUT":          func(c *Config) { c.Timeout = 0 },
		"AVATAR_TIMEOUT ":         func(c *Config) { c.Timeout = 2 * time.Minute },
		"AVATAR_RESOURCE_DIR":     func(c *Config) { c.ResourceDir = "missing" },
		"AVATAR_RESOURCE_DIR ":    func(c *Config) { c.ResourceDir = "doc.go" },
		"AVATAR_DEFAULT":          func(c *Config) { c.Default = "https://host.example/a.png" },
		"AVATAR_DEFAULT ":         func(c *Config) { c.Default = "resource:" },
		"AVATAR_DEFAULT  ":        func(c *Config) { c.Default, c.ResourceDir = "resource:a.png", "" },
		"AVATAR_DEFAULT   ":       func(c *Config) { c.Default = "resource:missing.png" },
		"AVATAR_DEFAULT    ":      func(c *Config) { c.Default = "resource:hostile/png_zero_dim.png" },
		"AVATAR_DEFAULT     ":     func(c *Config) { c.Default = "resource:hostile/png_chunk_len.png" },
		"AVATAR_DEFAULT      ":    func(c *Config) { c.Default, c.MaxSourceBytes = "resource:normal/png_rgb_160.png", 1000 },
		"AVATAR_ALLOWED_HOSTS":    func(c *Config) { c.AllowedHosts = []string{"fine.example", "https://host.example"} },
	} {
		_, err := New(testConfig(change), nil, nil)
		if err == nil || !strings.HasPrefix(err.Error(), strings.TrimSpace(variable)+" ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one fault that names it", variable, err)
		}
	}
}

func TestEveryFaultIsNamed(t *testing.T) {
	_, err := New(Config{Default: "x", ResourceDir: "missing", AllowedHosts: []string{"a b", ".", "host:443"}}, nil, nil)
	for _, want := range []string{
		"AVATAR_POLICY", "AVATAR_MAX_BYTES", "AVATAR_MAX_SOURCE_BYTES", "AVATAR_TIMEOUT", "AVATAR_RESOURCE_DIR", "AVATAR_DEFAULT",
		`"a b"`, `"."`, `"host:443"`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}

func TestHostPatterns(t *testing.T) {
	for given, want := range map[string]string{
		"Host.Example": "host.example", "host.example.": "host.example", ".host.example": ".host.example",
		"*.host.example": ".host.example", "localhost": "localhost", "127.0.0.1": "127.0.0.1", "[::1]": "::1", "0:0::1": "::1",
	} {
		if got, ok := hostPattern(given); !ok || got != want {
			t.Errorf("%q: %q %t, want %q", given, got, ok, want)
		}
	}
	if got, ok := hostPattern(" host.example "); !ok || got != "host.example" {
		t.Errorf("outer spaces are not cut off: %q", got)
	}
	for _, given := range []string{"", "*", "*.", "*host.example", "a*.example", "host.example/a", "host.example:443", "ho st", "fe80::1%eth0", "..a"} {
		if got, ok := hostPattern(given); ok {
			t.Errorf("%q is taken for %q, want a fault", given, got)
		}
	}
}

func TestGoodConfigs(t *testing.T) {
	newStage(t, func(c *Config) {
		c.ResourceDir, c.AllowedHosts, c.AllowHTTP, c.AllowPrivate = "", []string{".example", "127.0.0.1"}, false, false
	})
	newStage(t, strict, func(c *Config) { c.Default = "resource:normal/exif_orient_8.jpg" })
}
