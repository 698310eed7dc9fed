//go:build !production

package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// readAsyncAPI is docs/asyncapi.yaml as JSON values.
func readAsyncAPI(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile("../../docs/asyncapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := v.(map[string]any)
	return m
}

// docs/asyncapi.yaml is what AsyncAPI's own schema says that it must be, and
// every reference in it leads somewhere.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	schema, err := readJSON("testdata/asyncapi/3.0.0.json")
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("asyncapi.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	doc := readAsyncAPI(t)
	if err := compiled.Validate(doc); err != nil {
		t.Errorf("docs/asyncapi.yaml: %v", err)
	}
	for _, ref := range references(doc) {
		if !strings.HasPrefix(ref, "#/") {
			if _, err := readJSON("../../docs/" + ref); err != nil {
				t.Errorf("%s: %v", ref, err)
			}
			continue
		}
		var at any = doc
		for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(map[string]any)
			at = m[step]
		}
		if at == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	}
}

// references are all that a document refers to.
func references(v any) (refs []string) {
	switch v := v.(type) {
	case map[string]any:
		if ref, is := v["$ref"].(string); is {
			return []string{ref}
		}
		for _, sub := range v {
			refs = append(refs, references(sub)...)
		}
	case []any:
		for _, sub := range v {
			refs = append(refs, references(sub)...)
		}
	}
	return refs
}

// Every message has an example, and its examples fit its schemas; each schema
// is of a message.
func TestAsyncAPIExamples(t *testing.T) {
	t.Parallel()
	all, err := readSchemas(true)
	if err != nil {
		t.Fatal(err)
	}
	doc := readAsyncAPI(t)
	components, _ := doc["components"].(map[string]any)
	messages, _ := components["messages"].(map[string]any)
	used := map[string]bool{"push-data": true} // push.json refers to it
	for name, m := range messages {
		message, _ := m.(map[string]any)
		examples, _ := message["examples"].([]any)
		if len(examples) == 0 {
			t.Errorf("message %s has no example", name)
		}
		for i, e := range examples {
			example, _ := e.(map[string]any)
			for _, part := range []string{"headers", "payload"} {
				schema := schemaOf(message[part])
				used[schema] = true
				if value, given := example[part]; given && schema != "" {
					if err := all[schema].Validate(value); err != nil {
						t.Errorf("the %s of example %d of %s: %v", part, i, name, err)
					}
				} else if schema != "" {
					t.Errorf("example %d of %s has no %s", i, name, part)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !used[name] {
			t.Errorf("docs/schema/%s.json is of no message", name)
		}
	}
}

// schemaOf is the name of the schema that is referred to; empty: none.
func schemaOf(v any) string {
	m, _ := v.(map[string]any)
	ref, is := m["$ref"].(string)
	if !is {
		return ""
	}
	return strings.TrimSuffix(filepath.Base(ref), ".json")
}

// What must not pass the schemas does not: else the tests above could not fail.
func TestSchemasRefuse(t *testing.T) {
	t.Parallel()
	all, err := readSchemas(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ schema, body string }{
		{"push", `{"callId":"c-1"}`},
		{"push", `{"data":{}}`},
		{"push", `{"callId":"","data":"x"}`},
		{"push", `{"callId":"c","data":{"density":9}}`},
		{"push-data", `{"userName":""}`},
		{"push-data", `{"ttlSeconds":301}`},
		{"push-data", `{"direction":"up"}`},
		{"push-data", `{"voipCallType":2}`},
		{"cancel", `{}`},
		{"answer", `{"errorReason":0}`},
		{"answer", `{"code":0}`},
		{"answer", `{"code":0,"errorReason":null}`},
		{"connect-answer", `{}`},
		{"connect-request", `{"callId":"c-1"}`},
		{"request", `{}`},
		{"result", `{}`},
		{"request-headers", `{"Idempotency-Key":1}`},
		{"result-headers", `{}`},
		{"dead-letter-headers", `{}`},
		{"push-headers", `{"traceparent":1}`},
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if all[c.schema].Validate(v) == nil {
			t.Errorf("%s.json takes %s", c.schema, c.body)
		}
	}
	for name, schema := range all {
		if schema.Validate("text") == nil {
			t.Errorf("%s.json takes a text", name)
		}
	}
}
