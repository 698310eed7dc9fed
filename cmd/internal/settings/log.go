package settings

import (
	"io"
	"log/slog"
	"strings"

	"github.com/voip-push/worker/internal/telemetry"
	"github.com/voip-push/worker/internal/voip"
)

// Log is the LOG_* group.
type Log struct {
	Level   string `split_words:"true" default:"info" oneof:"debug,info,warn,error" desc:"The least level that is logged."`
	Format  string `split_words:"true" default:"text" oneof:"text,json" desc:"How log lines look."`
	Private bool   `split_words:"true" default:"false" desc:"Show names and avatar URLs in the log instead of [private]. Results, errors and metrics never hold them."`
}

// Logger is the logger that the group asks for.
func (l *Log) Logger(w io.Writer) *slog.Logger {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	return telemetry.NewLogger(w, telemetry.LogOptions{
		Level: levels[strings.ToLower(l.Level)], Format: l.Format, Private: l.Private, Context: voip.LogAttrs,
	})
}
