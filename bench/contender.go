package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// contender is one worker of the comparison.
type contender struct {
	name   string
	args   []string // of its process
	env    []string
	avatar string // URL in every push; empty: none
	share  int    // it drains one part in so many of the backlog: a slow one
	peer   bool   // a stop is no clean exit

	workers int // so many of it, on one consumer
	servers int // on so many nats-server processes, with as many replicas
}

// label is its name, with what there is more than one of.
func (c contender) label() string {
	label := c.name
	if c.workers > 1 {
		label += " x" + strconv.Itoa(c.workers)
	}
	if c.servers > 1 {
		label += " R" + strconv.Itoa(c.servers)
	}
	return label
}

func contenders(o options, bin *binaries, picture string) []contender {
	all := []contender{
		{name: "null", args: []string{bin.self, "null"}},
		{name: "null-goroutines", args: []string{bin.self, "null", "-goroutines"}},
		{name: "null-claims", args: []string{bin.self, "null", "-goroutines", "-claim"}},
		{name: "watermill", args: []string{bin.self, "watermill"}, share: 10, peer: true},
		{name: "watermill-64", args: []string{bin.self, "watermill", "-handlers", "64"}, share: 5, peer: true},
	}
	builds := append([]string{"worker=" + bin.worker}, strings.Split(o.against, ",")...)
	for _, build := range builds {
		name, path, ok := strings.Cut(build, "=")
		if !ok {
			continue
		}
		for _, claim := range []string{"always", "msgid"} {
			env := []string{
				"REPORT_TRANSPORT=callkit", "CALL_CLAIM=" + claim, "LOG_LEVEL=warn", "HTTP_ADDR=127.0.0.1:0",
				"AVATAR_ALLOW_PRIVATE=true", "AVATAR_ALLOW_HTTP=true",
			}
			c := contender{name: name + "-" + claim, args: []string{path, "run"}, env: env}
			all = append(all, c)
			c.name, c.avatar = c.name+"-avatar", picture
			all = append(all, c)
		}
	}
	if o.only != "" {
		all = slices.DeleteFunc(all, func(c contender) bool { return !slices.Contains(strings.Split(o.only, ","), c.name) })
	}
	return scaled(all, o)
}

// scaled has each of them with every number of workers and of servers.
func scaled(all []contender, o options) []contender {
	var each []contender
	for _, c := range all {
		for _, c.servers = range o.servers {
			for _, c.workers = range o.workers {
				each = append(each, c)
			}
		}
	}
	return each
}

// counts reads a flag of numbers from 1 to most, with commas between.
func counts(into *[]int, most int) func(string) error {
	return func(s string) error {
		*into = nil
		for part := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 1 || n > most {
				return fmt.Errorf("%q is not a number from 1 to %d", part, most)
			}
			*into = append(*into, n)
		}
		return nil
	}
}
