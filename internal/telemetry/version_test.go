package telemetry

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestDescribe(t *testing.T) {
	tree := func(version string, settings ...string) *debug.BuildInfo {
		info := &debug.BuildInfo{Main: debug.Module{Version: version}}
		for i := 0; i < len(settings); i += 2 {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return info
	}
	tests := []struct {
		name            string
		version, commit string
		info            *debug.BuildInfo
		want, wantHash  string
	}{
		{"ldflags win", "v1.2.0", "abc", tree("v9.9.9", "vcs.revision", "def"), "v1.2.0", "abc"},
		{"go install", "dev", "", tree("v1.1.0"), "v1.1.0", "unknown"},
		{"go build in a tree", "dev", "", tree("(devel)", "vcs.revision", "def", "vcs.modified", "false"), "dev", "def"},
		{"a changed tree", "dev", "", tree("(devel)", "vcs.modified", "true", "vcs.revision", "def"), "dev", "def-dirty"},
		{"changed, of no known commit", "dev", "", tree("", "vcs.modified", "true"), "dev", "unknown"},
		{"nothing recorded", "dev", "", tree(""), "dev", "unknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			version, commit := describe(tt.version, tt.commit, tt.info)
			if version != tt.want || commit != tt.wantHash {
				t.Errorf("got %q %q, want %q %q", version, commit, tt.want, tt.wantHash)
			}
		})
	}
}

func TestBuildSaysSomething(t *testing.T) {
	version, commit, goVersion := Build()
	if version == "" || commit == "" || goVersion != runtime.Version() {
		t.Errorf("got %q %q %q", version, commit, goVersion)
	}
}
