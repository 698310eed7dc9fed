package cli

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/spf13/cobra"

	"github.com/voip-push/worker/internal/voip"
)

func commands(run error) *cobra.Command {
	root := Root(&cobra.Command{Use: "tool", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error { return run }})
	sub := &cobra.Command{Use: "sub ONE", Args: cobra.ExactArgs(1), RunE: func(*cobra.Command, []string) error { return run }}
	sub.Flags().Int("count", 1, "")
	root.AddCommand(sub, Version("tool"))
	return root
}

// Exit codes: 0 done, 1 failed, 2 usage; a line for each thing that is wrong.
func TestExecute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		run  error
		args []string
		code int
		says string
	}{
		{nil, nil, Done, ""},
		{nil, []string{"sub", "x"}, Done, ""},
		{errors.New("broken"), []string{"sub", "x"}, Failed, "tool: broken\n"},
		{errors.Join(errors.New("one"), errors.New("two")), nil, Failed, "tool: one\ntool: two\n"},
		{fmt.Errorf("late: %w", Usage(errors.New("no such thing"))), nil, Misuse, "tool: late: no such thing\n"},
		{nil, []string{"sub"}, Misuse, "tool: accepts 1 arg(s), received 0\n"},
		{nil, []string{"sub", "x", "--count", "many"}, Misuse, "tool: invalid argument \"many\" for \"--count\" flag: strconv.ParseInt: parsing \"many\": invalid syntax; see tool sub --help\n"},
		{nil, []string{"--loud"}, Misuse, "tool: unknown flag: --loud; see tool --help\n"},
		{nil, []string{"sing"}, Misuse, "tool: unknown command \"sing\" for \"tool\"\n"},
	} {
		var out, errs bytes.Buffer
		root := commands(c.run)
		root.SetOut(&out)
		root.SetErr(&errs)
		root.SetArgs(append([]string{}, c.args...))
		if code := Execute(t.Context(), root); code != c.code || errs.String() != c.says || out.Len() > 0 {
			t.Errorf("%q ended with %d and said %q %q, want %d and %q", c.args, code, &out, &errs, c.code, c.says)
		}
	}
	if Usage(nil) != nil {
		t.Error("nothing wrong is a wrong use")
	}
}

func TestAvatarInWords(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]*voip.AvatarResult{
		"-":                    nil,
		"ok":                   {Status: voip.AvatarOK, Source: &voip.AvatarSource{}},
		"ok (over limit)":      {Status: voip.AvatarOK, Source: &voip.AvatarSource{OverLimit: true}},
		"none":                 {Status: voip.AvatarNone},
		"fallback (not_found)": {Status: voip.AvatarFallback, Reason: voip.AvatarNotFound},
	} {
		if got := Avatar(a); got != want {
			t.Errorf("%+v is %q, want %q", a, got, want)
		}
	}
}
