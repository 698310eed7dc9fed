// Package settings reads the environment for the three commands, with
// envconfig, and says everything that is wrong with it at once: envconfig
// itself stops at the first fault.
//
// A specification is a struct of groups; a group is a struct whose fields have
// these tags: split_words:"true" (the variable's name), default, desc, and what
// is legal: min and max (numbers, durations and sizes) or oneof.
package settings

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Variable is one setting of a specification.
type Variable struct {
	Name    string
	Type    string // as the documentation calls it
	Default string
	Legal   string // empty: anything of its type
	Desc    string

	field reflect.StructField
	value reflect.Value
	group string
}

// Load fills spec, a pointer to a struct of groups, from the environment. Its
// error joins every fault, each named by its variable and with what is legal;
// a setting at fault has its default, so that others can still be held against
// it. warnings name variables of the same groups that no setting has: misspelt
// ones.
func Load(spec any) (warnings []string, err error) {
	var errs []error
	vars := Variables(spec)
	for i := range vars {
		if err := vars[i].load(); err != nil {
			vars[i].setDefault()
			errs = append(errs, err)
		}
	}
	return unknown(vars), errors.Join(errs...)
}

// Defaults fills spec with the defaults alone, whatever the environment says.
func Defaults(spec any) {
	for _, v := range Variables(spec) {
		v.setDefault()
	}
}

func (v *Variable) setDefault() {
	if v.Default == "" {
		v.value.SetZero()
		return
	}
	if err := parse(v.value, v.Default); err != nil {
		panic("settings: " + v.Name + ": tag default: " + err.Error()) // a defect that any test finds
	}
}

// Variables lists the settings of a specification in its order.
func Variables(spec any) []Variable {
	var vars []Variable
	s := reflect.ValueOf(spec).Elem()
	for i := range s.NumField() {
		group := s.Type().Field(i)
		for j := range group.Type.NumField() {
			f := group.Type.Field(j)
			vars = append(vars, newVariable(group.Name, f, s.Field(i).Field(j)))
		}
	}
	return vars
}

func newVariable(group string, f reflect.StructField, v reflect.Value) Variable {
	// envconfig knows how it spells a field.
	var name strings.Builder
	const format = "{{range .}}{{.Key}}{{end}}"
	if err := envconfig.Usagef(group, single(f).Interface(), &name, format); err != nil {
		panic("settings: a field without a name: " + err.Error()) // a defect that any test finds
	}
	return Variable{
		Name: name.String(), Type: typeName(f.Type), Default: f.Tag.Get("default"), Legal: legal(f), Desc: f.Tag.Get("desc"),
		field: f, value: v, group: strings.ToUpper(group),
	}
}

// single is a pointer to a struct that has this field alone.
func single(f reflect.StructField) reflect.Value {
	f.Index, f.Offset = nil, 0
	return reflect.New(reflect.StructOf([]reflect.StructField{f}))
}

// load reads one variable. envconfig's own message repeats the value and
// cannot say what is legal.
func (v *Variable) load() error {
	one := single(v.field)
	if err := envconfig.Process(v.group, one.Interface()); err != nil {
		return v.fault()
	}
	v.value.Set(one.Elem().Field(0))
	return v.check()
}

func (v *Variable) fault() error {
	want := v.Legal
	if want == "" {
		want = v.Type
	} else if !strings.HasPrefix(want, "one of") {
		want = v.Type + ", " + want
	}
	return fmt.Errorf("%s: %q is not legal, want %s", v.Name, os.Getenv(v.Name), want)
}

// check holds the value against its tags.
func (v *Variable) check() error {
	if oneof, ok := v.field.Tag.Lookup("oneof"); ok && !slices.Contains(strings.Split(oneof, ","), v.value.String()) {
		return v.fault()
	}
	for _, bound := range []struct {
		tag  string
		sign int
	}{{"min", -1}, {"max", 1}} {
		text, ok := v.field.Tag.Lookup(bound.tag)
		if !ok {
			continue
		}
		limit := reflect.New(v.value.Type()).Elem()
		if err := parse(limit, text); err != nil {
			panic("settings: " + v.Name + ": tag " + bound.tag + ": " + err.Error()) // a defect that any test finds
		}
		if compare(v.value, limit) == bound.sign {
			return v.fault()
		}
	}
	return nil
}

// parse reads a tag as a value of the field's type.
func parse(into reflect.Value, text string) error {
	if d, ok := reflect.TypeAssert[envconfig.Decoder](into.Addr()); ok {
		return d.Decode(text)
	}
	if into.Type() == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		into.SetInt(int64(d))
		return err
	}
	switch into.Kind() { // the kinds that settings have; whole numbers follow
	case reflect.String:
		into.SetString(text)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		into.SetBool(b)
		return err
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		into.SetFloat(f)
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	into.SetInt(n)
	return err
}

func compare(a, b reflect.Value) int {
	less, more := a.CanInt() && a.Int() < b.Int(), a.CanInt() && a.Int() > b.Int()
	if a.CanFloat() {
		less, more = a.Float() < b.Float(), a.Float() > b.Float()
		if !less && !more && a.Float() != b.Float() {
			return -1 // NaN is never legal
		}
	}
	switch {
	case less:
		return -1
	case more:
		return 1
	default:
		return 0
	}
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "a duration such as 250ms or 1m"
	case t == reflect.TypeFor[Size]():
		return "a size such as 102400 or 64MiB"
	case t.Kind() == reflect.Slice:
		return "a comma-separated list"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Float64:
		return "a number"
	case t.Kind() == reflect.Int:
		return "a whole number"
	default:
		return "text"
	}
}

func legal(f reflect.StructField) string {
	if oneof, ok := f.Tag.Lookup("oneof"); ok {
		return "one of " + strings.ReplaceAll(strings.TrimPrefix(oneof, ","), ",", ", ")
	}
	low, hasLow := f.Tag.Lookup("min")
	high, hasHigh := f.Tag.Lookup("max")
	switch {
	case hasLow && hasHigh:
		return low + " to " + high
	case hasLow:
		return "at least " + low
	case hasHigh:
		return "at most " + high
	}
	return ""
}

// Value is the setting as it came out, as text; secrets are kept in files and
// are never in a setting.
func (v *Variable) Value() string {
	switch x := v.value.Interface().(type) {
	case time.Duration:
		return x.String()
	case []string:
		return strings.Join(x, ",")
	default:
		return fmt.Sprint(x)
	}
}
