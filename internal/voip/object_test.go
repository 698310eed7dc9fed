package voip

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzFields holds the reading of an object against encoding/json's own.
func FuzzFields(f *testing.F) {
	for _, s := range []string{
		`{}`, ` { } `, `{"a":1}`, `{"a":1,"a":2}`, `{"a" : [ {"b":"]}"} ] , "c":"\"}" }`, `{"\u0061":true,"":null}`, `{"a":-1.5e3}`,
		`null`, `[]`, `"a"`, `{"a":1}x`, `{"a"}`, `{"a":}`, `{"a":1,}`, "{\"\xff\":1}", "", `{"a":"\\"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want map[string]json.RawMessage
		wantOK := json.Unmarshal(b, &want) == nil && want != nil
		got, ok := fields(b)
		if ok != wantOK {
			t.Fatalf("read: %t, encoding/json: %t", ok, wantOK)
		}
		for name, value := range want {
			if strings.ContainsRune(name, '\uFFFD') {
				continue // several names may have become this one
			}
			if v := got.get(name); !bytes.Equal(v, value) {
				t.Errorf("%q is %q, encoding/json says %q", name, v, value)
			}
		}
		for _, m := range got {
			if utf8.Valid(m.name) && want[string(m.name)] == nil {
				t.Errorf("%q is no name to encoding/json", m.name)
			}
		}
	})
}
