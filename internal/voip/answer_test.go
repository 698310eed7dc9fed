package voip_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/voip-push/worker/internal/voip"
)

func TestDecodeAnswer(t *testing.T) {
	tests := []struct {
		name, body string
		code       voip.Code
		reason     int // of Call Kit; -1: none
		message    string
		duplicate  bool
		means      voip.Reason
		err        string
	}{
		{name: "yes", body: `{"code":0,"errorReason":0,"message":"","duplicate":false}`, means: "ERROR_NONE"},
		{name: "no more than it needs", body: `{"code":0,"errorReason":0}`, means: "ERROR_NONE"},
		{name: "a busy device", body: `{"code":0,"errorReason":2,"message":"busy"}`, reason: 2, message: "busy", means: "VOIP_CALL_EXISTS"},
		{name: "an unknown ErrorReason", body: `{"code":0,"errorReason":9}`, reason: 9, means: "UNKNOWN_ERROR_REASON"},
		{name: "a rejection", body: `{"code":801,"errorReason":null,"message":"no capability"}`, code: 801, reason: -1, message: "no capability", means: "CALLKIT_REJECTED"},
		{name: "a rejection without errorReason", body: `{"code":1007200002}`, code: 1007200002, reason: -1, means: "CALLKIT_UNAVAILABLE"},
		{name: "the code is read first", body: `{"code":1007200003,"errorReason":0}`, code: 1007200003, reason: -1, means: "CALLKIT_INTERNAL"},
		{name: "a rejection with nonsense beside it", body: `{"code":201,"errorReason":"none"}`, code: 201, reason: -1, means: "CALLKIT_REJECTED"},
		{name: "a code nobody knows", body: `{"code":-7}`, code: -7, reason: -1, means: "CALLKIT_REJECTED"},
		{name: "a duplicate", body: `{"code":1007200001,"duplicate":true}`, code: 1007200001, reason: -1, duplicate: true, means: "CALLKIT_REJECTED"},
		{name: "a duplicate that is none", body: `{"code":0,"errorReason":0,"duplicate":"true"}`, means: "ERROR_NONE"},
		{name: "duplicate null", body: `{"code":0,"errorReason":0,"duplicate":null}`, means: "ERROR_NONE"},
		{name: "a message that is no string", body: `{"code":0,"errorReason":0,"message":{"a":1}}`, means: "ERROR_NONE"},
		{name: "unknown fields", body: `{"v":2,"code":0,"errorReason":0,"Code":801}`, means: "ERROR_NONE"},
		{name: "whole numbers in other words", body: `{"code":0.0,"errorReason":2e0}`, reason: 2, means: "VOIP_CALL_EXISTS"},

		{name: "nothing", err: "an answer of 0 bytes is not {code, errorReason}"},
		{name: "no JSON", body: "OK Li Lei", err: "an answer of 9 bytes is not {code, errorReason}"},
		{name: "null", body: "null", err: "an answer of 4 bytes is not {code, errorReason}"},
		{name: "a number", body: "0", err: "an answer of 1 bytes is not {code, errorReason}"},
		{name: "an array", body: "[0,0]", err: "an answer of 5 bytes is not {code, errorReason}"},
		{name: "two answers", body: `{"code":0,"errorReason":0}{}`, err: "an answer of 28 bytes is not {code, errorReason}"},
		{name: "no code", body: `{"errorReason":0}`, err: "an answer of 17 bytes has no code that is an integer"},
		{name: "CODE", body: `{"CODE":0,"errorReason":0}`, err: "an answer of 26 bytes has no code that is an integer"},
		{name: "code null", body: `{"code":null,"errorReason":0}`, err: "an answer of 29 bytes has no code that is an integer"},
		{name: "code a string", body: `{"code":"0","errorReason":0}`, err: "an answer of 28 bytes has no code that is an integer"},
		{name: "code a fraction", body: `{"code":0.5,"errorReason":0}`, err: "an answer of 28 bytes has no code that is an integer"},
		{name: "code beyond numbers", body: `{"code":1e400}`, err: "an answer of 14 bytes has no code that is an integer"},
		{name: "no errorReason", body: `{"code":0}`, err: "an answer of 10 bytes has code 0 and no errorReason that is an integer"},
		{name: "errorReason null", body: `{"code":0,"errorReason":null}`, err: "an answer of 29 bytes has code 0 and no errorReason that is an integer"},
		{name: "errorReason a string", body: `{"code":0,"errorReason":"0"}`, err: "an answer of 28 bytes has code 0 and no errorReason that is an integer"},
		{name: "ERRORREASON", body: `{"code":0,"ERRORREASON":0}`, err: "an answer of 26 bytes has code 0 and no errorReason that is an integer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := voip.DecodeAnswer([]byte(tt.body))
			if text(err) != tt.err {
				t.Fatalf("got %v, want %q", err, tt.err)
			}
			if tt.err != "" {
				return
			}
			reason := -1
			if a.ErrorReason != nil {
				reason = int(*a.ErrorReason)
			}
			if a.Code != tt.code || reason != tt.reason || a.Message != tt.message || a.Duplicate != tt.duplicate {
				t.Errorf("got %+v, errorReason %d", a, reason)
			}
			if got := a.Reason(); got != tt.means {
				t.Errorf("it means %s, want %s", got, tt.means)
			}
		})
	}
}

func TestAnswerWithoutErrorReason(t *testing.T) {
	if got := (voip.Answer{}).Reason(); got != voip.ReasonReportRejected {
		t.Errorf("got %s", got)
	}
}

// An answer that is taken is one of the table's reasons that an attempt can end
// with, and one that is not says nothing of what was sent.
func FuzzDecodeAnswer(f *testing.F) {
	for _, body := range []string{
		`{"code":0,"errorReason":0,"message":"","duplicate":false}`, `{"code":801}`, `{"code":0}`, `{"code":null}`, `{}`, `null`, ``, `[]`, `{"code":1e3,"errorReason":-0}`,
		`{"code":9007199254740993}`, `{"code":0,"errorReason":0,"message":"\ud800"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := voip.DecodeAnswer(body)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "an answer of ") || len(err.Error()) > 90 {
				t.Fatalf("%q: the error is %q", body, err)
			}
			return
		}
		if !a.Reason().Rule().Attempt {
			t.Fatalf("%q: means %s", body, a.Reason())
		}
		if (a.Code == voip.CodeOK) != (a.ErrorReason != nil) {
			t.Fatalf("%q: code %d with errorReason %v", body, a.Code, a.ErrorReason)
		}
	})
}

func TestDecodeConnected(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"code":0}`:                       "0 0",
		`{"code":0.0,"errorReason":0e1}`:   "0 0",
		`{"code":7,"errorReason":2,"x":1}`: "7 2",
		`{"CODE":0}`:                       "",
		`{"code":0,"errorReason":"0"}`:     "",
		`{"code":0,"errorReason":null}`:    "",
		`{"code":0.5}`:                     "",
		`{"code":"0"}`:                     "",
		`{"code":0} {}`:                    "",
		`[0]`:                              "",
		``:                                 "",
	} {
		code, reason, err := voip.DecodeConnected([]byte(body))
		if got := fmt.Sprint(int(code), int(reason)); want == "" && err == nil || want != "" && (got != want || err != nil) {
			t.Errorf("%s: %s, %v; want %q", body, got, err, want)
		}
	}
}
