package voip

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestEncodeIsWhatEncodingJSONWrites fills every field of a result, one after
// the other, so that one which Encode leaves out is found.
func TestEncodeIsWhatEncodingJSONWrites(t *testing.T) {
	// What is not known of a picture is null; the bytes of a source always are.
	unknown := strings.NewReplacer(`"contentType":""`, `"contentType":null`, `"width":0`, `"width":null`, `"height":0`, `"height":null`,
		`"bytes":0,"source"`, `"bytes":null,"source"`)
	var r Result
	check := func(what string) {
		t.Helper()
		want, err := encodeJSON(&r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Encode(); err != nil || string(got) != unknown.Replace(string(want)) {
			t.Errorf("%s:\n got %s (%v)\nwant %s", what, got, err, want)
		}
	}
	check("nothing")
	fill(reflect.ValueOf(&r).Elem(), check, "")
	for _, s := range []string{"", "a\"b\\c", "<&>", "Li Lei \u674e\u96f7", "line\nbreak", "\u2028", "\xff", "\x7f"} {
		r.CallID, r.Message = s, s
		check("text")
	}
	for _, f := range []float64{0, 0.001, 1, 1.9, 123456.789, 3.6e6} {
		r.LatencyMs = f
		check("float")
	}
	for _, at := range []time.Time{{}, time.Unix(0, 1).UTC(), time.Unix(1e9, 0).UTC(), time.Date(2026, 1, 2, 3, 4, 5, 600, time.FixedZone("", 3600))} {
		r.CompletedAt = at
		check("time")
	}
}

// fill sets every field below v to something, and tells of each.
func fill(v reflect.Value, set func(path string), path string) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.UTC)))
			break
		}
		for i := range v.NumField() {
			fill(v.Field(i), set, path+"."+v.Type().Field(i).Name)
		}
		return
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		set(path)
		fill(v.Elem(), set, path)
		return
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		set(path)
		for i := range v.Len() {
			fill(v.Index(i), set, path)
		}
		return
	case reflect.String:
		v.SetString(path)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(1.5)
	case reflect.Uint64:
		v.SetUint(7)
	default:
		v.SetInt(7)
	}
	set(path)
}

// TestRequestKeepsData: data goes to Call Kit's side byte for byte, and the
// rest is what encoding/json writes.
func TestRequestKeepsData(t *testing.T) {
	for data, picture := range map[string][]byte{
		`"opaque"`: nil, `{ "a" : [1 ,2],` + "\n" + ` "b":1.0}`: {}, `{"x":",\"data\":null,\"attempt\":"}`: []byte("\x89PNG"),
		`"<&>"`: bytes.Repeat([]byte{0xfb, 0xef}, usualSize), `{"n":1e400,"n":2}`: {0}, `null`: {0xff, 0xff},
	} {
		r := Request{
			Schema: RequestSchema, Data: []byte(data), Attempt: 3,
			Attribute: VoipCallAttribute{CallID: `,"data":null,"attempt":`, UserName: `,"data":null}`, UserProfile: UserProfile{Data: picture}},
		}
		b, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte(`,"data":`+data+`,"attempt":3,`)) {
			t.Errorf("%s is not in %s", data, b)
		}
		var got, want any
		plain, err := encodeJSON(&r)
		if err != nil {
			t.Fatal(err)
		}
		for _, side := range []struct {
			b    []byte
			into *any
		}{{b, &got}, {plain, &want}} {
			d := json.NewDecoder(bytes.NewReader(side.b))
			d.UseNumber()
			if err := d.Decode(side.into); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads otherwise than %s", b, plain)
		}
	}
}
