package voip_test

import (
	"slices"
	"testing"

	"github.com/voip-push/worker/internal/voip"
)

// The contract's table, row by row: reason, outcome, class, how often it is
// tried again, and whether an attempt can end with it.
var contract = []struct {
	reason  voip.Reason
	outcome voip.Outcome
	class   voip.Class
	retry   voip.Retry
	attempt bool
}{
	{"ERROR_NONE", "reported", "", voip.RetryNever, true},
	{"CELLULAR_CALL_EXISTS", "failed", "exhausted", voip.RetryFew, true},
	{"VOIP_CALL_EXISTS", "failed", "exhausted", voip.RetryFew, true},
	{"INVALID_CALL", "failed", "permanent", voip.RetryNever, true},
	{"USER_ANSWER_CELLULAR_FIRST", "failed", "permanent", voip.RetryNever, true},
	{"UNKNOWN_ERROR_REASON", "failed", "permanent", voip.RetryNever, true},
	{"CALLKIT_REJECTED", "failed", "permanent", voip.RetryNever, true},
	{"CALLKIT_INTERNAL", "failed", "exhausted", voip.RetryTwice, true},
	{"CALLKIT_UNAVAILABLE", "failed", "exhausted", voip.RetryUntilDeadline, true},
	{"REPORT_UNAVAILABLE", "failed", "exhausted", voip.RetryUntilDeadline, true},
	{"REPORT_REJECTED", "failed", "permanent", voip.RetryNever, true},
	{"CONNECT_FAILED", "failed", "exhausted", voip.RetryFew, false},
	{"AVATAR_REJECTED", "failed", "permanent", voip.RetryNever, false},
	{"INVALID_ATTRIBUTE", "failed", "permanent", voip.RetryNever, false},
	{"MALFORMED_PUSH", "failed", "permanent", voip.RetryNever, false},
	{"CRASH_LOOP", "failed", "crash", voip.RetryNever, false},
	{"EXPIRED", "expired", "", voip.RetryNever, false},
	{"CANCELLED", "cancelled", "", voip.RetryNever, false},
}

func TestRules(t *testing.T) {
	rules := voip.Rules()
	if len(rules) != len(contract) {
		t.Fatalf("%d rules, the contract has %d", len(rules), len(contract))
	}
	for i, want := range contract {
		got := rules[i]
		if got.Reason != want.reason || got.Outcome != want.outcome || got.Class != want.class || got.Retry != want.retry || got.Attempt != want.attempt {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if byName := want.reason.Rule(); byName.Reason != want.reason || byName.Retry != want.retry {
			t.Errorf("%s: its rule is %+v", want.reason, byName)
		}
	}
	rules[0].Class = "changed"
	if voip.ReasonNone.Rule().Class != "" {
		t.Error("the table can be written to from outside")
	}
}

// Only RetryNever is what a forgotten column of the table means.
func TestRetryIsNeverByDefault(t *testing.T) {
	if voip.RetryNever != 0 {
		t.Error("the zero Retry is not RetryNever")
	}
}

func TestReasonWithoutARule(t *testing.T) {
	got := voip.Reason("NEWER").Rule()
	if got.Reason != "NEWER" || got.Outcome != voip.Failed || got.Class != voip.Permanent || got.Retry != voip.RetryNever || got.Attempt {
		t.Errorf("got %+v", got)
	}
}

func TestErrorReason(t *testing.T) {
	tests := []struct {
		value  voip.ErrorReason
		reason voip.Reason
		name   string
	}{
		{0, "ERROR_NONE", "ERROR_NONE"},
		{1, "CELLULAR_CALL_EXISTS", "CELLULAR_CALL_EXISTS"},
		{2, "VOIP_CALL_EXISTS", "VOIP_CALL_EXISTS"},
		{3, "INVALID_CALL", "INVALID_CALL"},
		{4, "USER_ANSWER_CELLULAR_FIRST", "USER_ANSWER_CELLULAR_FIRST"},
		{5, "UNKNOWN_ERROR_REASON", "ErrorReason(5)"},
		{-1, "UNKNOWN_ERROR_REASON", "ErrorReason(-1)"},
		{1007200001, "UNKNOWN_ERROR_REASON", "ErrorReason(1007200001)"},
	}
	for _, tt := range tests {
		if got := tt.value.Reason(); got != tt.reason {
			t.Errorf("%d: the reason is %s, want %s", int(tt.value), got, tt.reason)
		}
		if got := tt.value.String(); got != tt.name {
			t.Errorf("%d: the name is %s, want %s", int(tt.value), got, tt.name)
		}
	}
}

func TestCode(t *testing.T) {
	want := map[voip.Code]voip.Reason{
		201: "CALLKIT_REJECTED", 401: "CALLKIT_REJECTED", 801: "CALLKIT_REJECTED", 1007200001: "CALLKIT_REJECTED",
		1007200002: "CALLKIT_UNAVAILABLE",
		1007200003: "CALLKIT_INTERNAL", 1007200999: "CALLKIT_INTERNAL",
		1: "CALLKIT_REJECTED", -1: "CALLKIT_REJECTED", 1007200004: "CALLKIT_REJECTED", 202: "CALLKIT_REJECTED",
	}
	for code, reason := range want {
		if got := code.Reason(); got != reason {
			t.Errorf("%d: got %s, want %s", code, got, reason)
		}
	}
}

func TestEnumNames(t *testing.T) {
	tests := []struct {
		value interface{ String() string }
		want  string
	}{
		{voip.VoipCallType(0), "VOIP_CALL_VOICE"},
		{voip.VoipCallType(1), "VOIP_CALL_VIDEO"},
		{voip.VoipCallType(2), "VoipCallType(2)"},
		{voip.VoipCallType(-1), "VoipCallType(-1)"},
		{voip.VoipCallState(0), "VOIP_CALL_STATE_IDLE"},
		{voip.VoipCallState(1), "VOIP_CALL_STATE_RINGING"},
		{voip.VoipCallState(2), "VOIP_CALL_STATE_ACTIVE"},
		{voip.VoipCallState(3), "VOIP_CALL_STATE_HOLDING"},
		{voip.VoipCallState(4), "VOIP_CALL_STATE_DISCONNECTED"},
		{voip.VoipCallState(5), "VOIP_CALL_STATE_DIALING"},
		{voip.VoipCallState(6), "VOIP_CALL_STATE_ANSWERED"},
		{voip.VoipCallState(7), "VOIP_CALL_STATE_DISCONNECTING"},
		{voip.VoipCallState(8), "VoipCallState(8)"},
		{voip.VoipCallState(-1), "VoipCallState(-1)"},
	}
	for _, tt := range tests {
		if got := tt.value.String(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestDirection(t *testing.T) {
	if m, s := voip.Outgoing.Method(), voip.Outgoing.State(); m != "reportOutgoingCall" || s != voip.StateDialing {
		t.Errorf("outgoing: %s, %v", m, s)
	}
	if m, s := voip.Incoming.Method(), voip.Incoming.State(); m != "reportIncomingCall" || s != voip.StateRinging {
		t.Errorf("incoming: %s, %v", m, s)
	}
}

func TestAvatarReasons(t *testing.T) {
	want := []voip.AvatarReason{
		"too_large", "unsupported_type", "not_an_image", "bad_dimensions", "too_many_scans", "forbidden_address", "forbidden_url", "not_found",
		"http_status", "timeout", "unreachable", "too_many_redirects", "internal",
	}
	if got := voip.AvatarReasons(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
