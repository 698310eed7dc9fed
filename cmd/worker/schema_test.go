//go:build !production

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/voip-push/worker/internal/testkit"
	"github.com/voip-push/worker/internal/voip"
)

// schemas are docs/schema, by the name of the file without .json. In strict
// ones a field that is not described is a fault: readers must ignore it, but
// this worker must not send it. (Gateways may: pushes are never read strictly.)
type schemas map[string]*jsonschema.Schema

// contractSchemas compiles them once for all scenarios.
var contractSchemas = sync.OnceValues(func() (schemas, error) { return readSchemas(true) })

// schemaBase makes the references between the files ones between URLs; nothing
// is fetched.
const schemaBase = "https://contract.invalid/"

func readSchemas(strict bool) (schemas, error) {
	files, err := filepath.Glob("../../docs/schema/*.json")
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, errors.New("docs/schema is empty"))
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, file := range files {
		doc, err := readJSON(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if strict && !strings.HasPrefix(filepath.Base(file), "push") {
			forbidMore(doc)
		}
		if err := c.AddResource(schemaBase+filepath.Base(file), doc); err != nil {
			return nil, err
		}
	}
	all := schemas{}
	for _, file := range files {
		name := filepath.Base(file)
		if all[strings.TrimSuffix(name, ".json")], err = c.Compile(schemaBase + name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func readJSON(file string) (any, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(b))
}

// forbidMore refuses fields that a schema does not describe, in all its objects
// that describe some.
func forbidMore(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if _, is := s["properties"]; is && s["type"] != nil { // else it is a condition
			s["additionalProperties"] = false
		}
		for _, sub := range s {
			forbidMore(sub)
		}
	case []any:
		for _, sub := range s {
			forbidMore(sub)
		}
	}
}

// check holds JSON against a schema.
func (s schemas) check(t *testing.T, name string, body []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = s[name].Validate(v)
	}
	if err != nil {
		t.Errorf("docs/schema/%s.json: %v\n%.1000s", name, err, body)
	}
}

// checkHeader holds headers against a schema; those of others, which a dead
// letter keeps, are left out.
func (s schemas) checkHeader(t *testing.T, name string, h nats.Header) {
	t.Helper()
	m := map[string]any{}
	for k, values := range h {
		if strings.HasPrefix(k, "Nats-") || strings.HasPrefix(k, "Voip-") || k == voip.HeaderTraceparent && name != "dead-letter-headers" {
			m[k] = values[0]
		}
	}
	if err := s[name].Validate(m); err != nil {
		t.Errorf("docs/schema/%s.json: %v\n%v", name, err, h)
	}
}

// checkSchemas holds every message of a scenario against the published schemas.
func (o *outcome) checkSchemas(t *testing.T) {
	t.Helper()
	s, err := contractSchemas()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range o.results {
		s.check(t, "result", m.raw.Data)
		s.checkHeader(t, "result-headers", m.raw.Header)
	}
	for _, m := range o.dead {
		s.checkHeader(t, "dead-letter-headers", m.raw.Header)
	}
	for _, a := range o.rig.requests.all() {
		s.check(t, "request", a.body)
	}
	for _, answer := range o.rig.requests.answered() {
		s.check(t, "answer", answer)
	}
	for _, m := range testkit.Messages(t, o.js, voip.StreamCancel) {
		s.check(t, "cancel", m.Data)
	}
	for _, m := range o.pushes {
		s.checkHeader(t, "push-headers", m.Header)
		p, err := voip.DecodePush(m.Data, o.cfg.defaults())
		if err != nil {
			continue // it is no push, on purpose
		}
		s.check(t, "push", m.Data)
		if p.Data[0] == '{' {
			s.check(t, "push-data", p.Data)
		}
	}
}

// The reasons and statuses of the schemas are those of the code.
func TestSchemasNameEveryReason(t *testing.T) {
	t.Parallel()
	var reasons, dead, pictures []string
	for _, r := range voip.Rules() {
		reasons = append(reasons, string(r.Reason))
		if r.Class != "" {
			dead = append(dead, string(r.Reason))
		}
	}
	pictures = append(pictures, "")
	for _, r := range voip.AvatarReasons() {
		pictures = append(pictures, string(r))
	}
	for _, c := range []struct {
		file string
		path []string
		want []string
	}{
		{"result", []string{"properties", "reason", "enum"}, reasons},
		{"result", []string{"properties", "attempts", "items", "properties", "reason", "enum"}, reasons},
		{"result", []string{"properties", "avatar", "properties", "reason", "enum"}, pictures},
		{"result-headers", []string{"properties", "Voip-Reason", "enum"}, reasons},
		{"dead-letter-headers", []string{"properties", "Voip-Reason", "enum"}, dead},
	} {
		at, err := readJSON("../../docs/schema/" + c.file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range c.path {
			m, _ := at.(map[string]any)
			at = m[step]
		}
		var got []string
		values, _ := at.([]any)
		for _, v := range values {
			got = append(got, fmt.Sprint(v))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s.json %v\n got %q\nwant %q", c.file, c.path, got, c.want)
		}
	}
}
