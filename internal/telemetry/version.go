package telemetry

import (
	"cmp"
	"runtime"
	"runtime/debug"
)

// unset stands where a build does not say what it is made of.
const unset = "unknown"

// The build's version and commit, set with
// -ldflags "-X github.com/voip-push/worker/internal/telemetry.Version=… -X ….Commit=…".
//
//nolint:gochecknoglobals // the linker can only set package variables; nothing else writes them
var (
	Version = devVersion
	Commit  = ""
)

// devVersion is the version of a build that nobody gave one.
const devVersion = "dev"

// Build says what this binary was built from. What -ldflags did not set comes
// from what the go command recorded: the module's version for `go install`, the
// commit of the working tree for `go build`.
func Build() (version, commit, goVersion string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	version, commit = describe(Version, Commit, info)
	return version, commit, cmp.Or(info.GoVersion, runtime.Version())
}

func describe(version, commit string, info *debug.BuildInfo) (string, string) {
	if recorded := info.Main.Version; version == devVersion && recorded != "(devel)" {
		version = cmp.Or(recorded, version)
	}
	return version, cmp.Or(commit, recordedCommit(info), unset)
}

// recordedCommit is the commit of the working tree, marked when files of it
// were changed; empty when none was recorded.
func recordedCommit(info *debug.BuildInfo) string {
	var revision, mark string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			mark = "-dirty"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + mark
}
