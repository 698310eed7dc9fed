package voip

import (
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a JSON string; ok is false when raw is anything else.
func text(raw json.RawMessage) (s string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if body := raw[1 : len(raw)-1]; plain(body) {
		return string(body), true
	}
	return escapedText(raw)
}

// escapedText is text for a string that does not stand for itself.
func escapedText(raw json.RawMessage) (s string, ok bool) {
	return s, json.Unmarshal(raw, &s) == nil
}

// plain says that a string's inside stands for itself.
func plain(b []byte) bool {
	for _, c := range b {
		if c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// exactText is text for an identity: what encoding/json would silently replace
// (bytes that are not UTF-8, halves of surrogate pairs) makes it no text at
// all, or two identities could become one.
func exactText(raw json.RawMessage) (string, bool) {
	if !utf8.Valid(raw) || loneSurrogate(raw) {
		return "", false
	}
	return text(raw)
}

// loneSurrogate finds a \\u escape that is half of a surrogate pair in valid JSON.
func loneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if raw[i] != 'u' {
			continue
		}
		r := escaped(raw[i-1:])
		if !utf16.IsSurrogate(r) {
			continue
		}
		if utf16.DecodeRune(r, escaped(raw[i+5:])) == utf8.RuneError {
			return true
		}
		i += 10
	}
	return false
}

// escaped is the code unit of the \\uXXXX escape that b begins with, else 0.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}

// number reads a JSON number; ok is false when raw is anything else or beyond
// a float64.
func number(raw json.RawMessage) (f float64, ok bool) {
	if !isNumber(raw) {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}

// isNumber goes by how a JSON value begins.
func isNumber(raw json.RawMessage) bool {
	return len(raw) > 0 && (raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9')
}

// integer reads a JSON number without a fraction, as JSON Schema defines an
// integer: 60.0 is one.
func integer(raw json.RawMessage) (n int, ok bool) {
	f, ok := number(raw)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int(f), true
}

// shown is a JSON value for an error message, cut where it is long.
func shown(raw json.RawMessage) string {
	if s, ok := text(raw); ok {
		return `"` + clip(s) + `"`
	}
	if isNumber(raw) {
		return "the number " + clip(string(raw))
	}
	return kind(raw)
}

// kind names the type of a JSON value for an error message, and nothing that a
// private value could be known by: a name may be a telephone number.
func kind(raw json.RawMessage) string {
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '"':
		s, _ := text(raw)
		return "a string of " + strconv.Itoa(len(s)) + " bytes"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "an array"
	case raw[0] == 'n', raw[0] == 't', raw[0] == 'f':
		return string(raw)
	default:
		return "a number"
	}
}
