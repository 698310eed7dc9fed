package voip

import (
	"bytes"
	"encoding/json"
	"slices"
)

// object is the members of a JSON object as they stand in their text, which
// they share: reading one copies nothing. It stands in place of a
// map[string]json.RawMessage, which costs more than all else about a push.
type object []member

type member struct{ name, value []byte } // the name without its quotes and escapes

// fields reads a JSON object with its names exactly as they are spelled:
// encoding/json's structs would take "CALLID" for callId. ok is false when b
// is anything but one JSON object.
func fields(b []byte) (o object, ok bool) { return make(object, 0, usualMembers).read(b) }

// members is fields for an object that is known to be well-formed.
func members(b []byte) object { return make(object, 0, usualMembers).scan(b) }

// usualMembers is how many members an object may have for its caller to hold
// them on its stack: fields and members are short, so that they become a part
// of their callers.
const usualMembers = 8

func (o object) read(b []byte) (object, bool) {
	if !isObject(b) {
		return nil, false
	}
	return o.scan(b), true
}

func isObject(b []byte) bool { return json.Valid(b) && b[skipSpace(b, 0)] == '{' }

// scan needs to follow only strings and brackets.
func (o object) scan(b []byte) object {
	for i := skipSpace(b, skipSpace(b, 0)+1); b[i] != '}'; {
		end := skipValue(b, i)
		m := member{name: nameOf(b[i:end])}
		i = skipSpace(b, skipSpace(b, end)+1) // past the colon
		end = skipValue(b, i)
		m.value = b[i:end]
		o = append(o, m)
		if i = skipSpace(b, end); b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return o
}

// get is the value of a name; of a name that comes twice the last counts, as in
// the device's JSON.parse. nil: there is none.
func (o object) get(name string) json.RawMessage {
	for _, m := range slices.Backward(o) {
		if string(m.name) == name {
			return m.value
		}
	}
	return nil
}

// nameOf reads a quoted name; one that no text stands for is left as it is, and
// is nobody's.
func nameOf(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	if s, ok := text(quoted); ok {
		return []byte(s)
	}
	return quoted
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n' {
		i++
	}
	return i
}

// skipValue is where the value that begins at i ends.
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		return skipString(b, i)
	case '{', '[':
		return skipNested(b, i)
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' && b[i] > ' ' {
		i++
	}
	return i
}

func skipString(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipNested(b []byte, i int) int {
	depth := 0
	for {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
}
