package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/voip-push/worker/internal/callkit"
	"github.com/voip-push/worker/internal/voip"
)

// reportLine is one report that came in, as it is printed.
type reportLine struct {
	At  time.Time   `json:"at"`
	Via callkit.Via `json:"via"`
	callkit.Ref
	Method      string            `json:"method"`
	Attempt     int               `json:"attempt"`
	Redrives    int               `json:"redrives"`
	Key         string            `json:"idempotencyKey"`
	UserName    any               `json:"userName"`
	CallType    voip.VoipCallType `json:"voipCallType"`
	Avatar      avatarLine        `json:"avatar"`
	ExpiresAt   time.Time         `json:"expiresAt"`
	Answer      *voip.Answer      `json:"answer"` // null: none was given
	Fault       string            `json:"fault"`  // what was injected, or that the caller had gone
	Replayed    bool              `json:"replayed"`
	Banner      bool              `json:"banner"`
	AvatarShown bool              `json:"avatarShown"`
}

type avatarLine struct {
	ContentType string `json:"contentType"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Bytes       int    `json:"bytes"`
}

// reportLines prints the reports, and counts what they were answered with.
type reportLines struct {
	private bool

	mu      sync.Mutex
	out     *json.Encoder
	answers map[string]int
}

func newReportLines(out io.Writer, private bool) *reportLines {
	l := &reportLines{private: private, out: json.NewEncoder(out), answers: map[string]int{}}
	l.out.SetEscapeHTML(false)
	return l
}

func (l *reportLines) show(e callkit.Event) {
	line, p := newReportLine(&e, l.private), "no answer: "
	if line.Answer != nil {
		p, line.Fault = string(line.Answer.Reason()), ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[p+line.Fault]++
	_ = l.out.Encode(line) // a reader that has gone misses the rest
}

func newReportLine(e *callkit.Event, private bool) reportLine {
	a := &e.Request.Attribute
	line := reportLine{
		At: time.Now().UTC(), Via: e.Via, Ref: e.Ref, Method: e.Method, Attempt: e.Attempt, Redrives: e.Request.Redrives,
		Key: e.Key, UserName: voip.Private(a.UserName), CallType: a.VoipCallType, ExpiresAt: e.Request.ExpiresAt,
		Avatar:   avatarLine{a.UserProfile.ContentType, a.UserProfile.Width, a.UserProfile.Height, len(a.UserProfile.Data)},
		Replayed: e.Replayed, Banner: e.Banner, AvatarShown: e.AvatarShown,
	}
	if private {
		line.UserName = a.UserName
	}
	if e.Err == nil {
		line.Answer = &e.Answer
	} else {
		line.Fault = e.Err.Error()
	}
	return line
}

// summary says in a few lines what came in.
func (l *reportLines) summary(w io.Writer, s callkit.Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(w, "%d reports: %d accepted, %d refused, %d answered again for their keys, %d with an injected fault, %d without their avatar\n",
		s.Requests, s.Accepted, s.Refused, s.Replayed, s.Faults, s.AvatarsHidden)
	for _, answer := range slices.Sorted(maps.Keys(l.answers)) {
		fmt.Fprintf(w, "%8d  %s\n", l.answers[answer], answer)
	}
}
