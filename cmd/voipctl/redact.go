package main

import (
	"encoding/json"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/voip-push/worker/internal/voip"
)

// redactBody is a push's body without what is private: the caller's name, the
// address of the picture, and whatever cannot be looked into.
func redactBody(body []byte) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return fmt.Sprintf("%s (%d bytes that are no JSON)", voip.Redacted, len(body))
	}
	if _, ok := v.(map[string]any); !ok {
		return fmt.Sprintf("%s (%d bytes that are no push)", voip.Redacted, len(body))
	}
	b, err := json.Marshal(redactValue("", v))
	if err != nil {
		return voip.Redacted
	}
	return string(b)
}

func redactValue(key string, v any) any {
	switch x := v.(type) {
	case map[string]any:
		for k := range x {
			x[k] = redactValue(k, x[k])
		}
		return x
	case string:
		if key == "data" {
			return redactText(x)
		}
		if !isPublic(key) {
			return voip.Redacted
		}
		return x
	case []any:
		return voip.Redacted
	default: // numbers, booleans and null tell nobody's name
		return x
	}
}

// redactText is a string that may hold JSON itself.
func redactText(s string) any {
	var inner map[string]any
	if json.Unmarshal([]byte(s), &inner) != nil {
		return voip.Redacted
	}
	b, err := json.Marshal(redactValue("", inner))
	if err != nil {
		return voip.Redacted
	}
	return string(b)
}

// isPublic names the strings of a push that may be shown; of fields that are
// not known nobody can say.
func isPublic(key string) bool {
	switch key {
	case "callId", "voipCallType", "scene", "abilityName", "direction", "deviceId", "bundleName":
		return true
	default:
		return false
	}
}

// redactHeader hides the values of headers that are not the project's or the
// broker's own.
func redactHeader(h nats.Header) map[string][]string {
	shown := make(map[string][]string, len(h))
	for k, values := range h {
		key := textproto.CanonicalMIMEHeaderKey(k)
		if strings.HasPrefix(key, "Voip-") || strings.HasPrefix(key, "Nats-") || key == "Traceparent" {
			shown[k] = values
			continue
		}
		shown[k] = []string{voip.Redacted}
	}
	return shown
}
