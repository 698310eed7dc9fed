//go:build !production

package main

import (
	"fmt"
	"strings"

	"github.com/voip-push/worker/cmd/internal/settings"
)

// configurationPage is docs/configuration.md: the settings by group.
func configurationPage(vars []settings.Variable) string {
	var b strings.Builder
	b.WriteString(`<!-- Written by ` + "`make docs`" + ` from the settings of cmd/worker. Edit the tags there. -->

# Configuration

Settings come from the environment. Durations are written as Go does (` + "`250ms`, `1m30s`" + `), sizes as plain bytes or with
` + "`KiB`, `MiB`, `GiB`" + `. A wrong value stops the start, with every fault listed; a misspelt variable of these groups is a
warning. ` + "`worker check`" + ` prints the settings as they are in effect.

` + "`publisher` and `voipctl` read the same `NATS_*` settings, and `publisher` the `OTEL_*`: those listed here are checked, and" + `
` + "every other one that the OpenTelemetry SDK for Go knows (`OTEL_EXPORTER_OTLP_TIMEOUT`, `…_COMPRESSION`, `…_CERTIFICATE`," + `
` + "`OTEL_BSP_*`, the limits of spans) has its standard meaning. Trace contexts are W3C's, whatever `OTEL_PROPAGATORS` says." + `
`)
	group := ""
	for _, v := range vars {
		if g, _, _ := strings.Cut(v.Name, "_"); g != group {
			group = g
			fmt.Fprintf(&b, "\n## %s_*\n\n| variable | type and legal values | default | description |\n|---|---|---|---|\n", group)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", v.Name, legalCell(&v), defaultCell(&v), v.Desc)
	}
	return b.String()
}

func legalCell(v *settings.Variable) string {
	switch {
	case v.Legal == "":
		return v.Type
	case v.Type == "text":
		return v.Legal
	default:
		return v.Type + ", " + v.Legal
	}
}

func defaultCell(v *settings.Variable) string {
	if v.Default == "" {
		return "–"
	}
	return "`" + v.Default + "`"
}
