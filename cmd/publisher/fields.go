package main

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/voip-push/worker/internal/voip"
)

// fieldFlags are a flag for every field of a push. Only those that are given
// are sent; they are not checked, for a worker has to refuse what is wrong.
type fieldFlags struct {
	userName, scene, callType, avatar, ability, direction, device, bundle string
	density                                                               float64
	ttl                                                                   int
	banner, conference, answer, mute, carrier                             bool
}

func (f *fieldFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.userName, "user-name", "", "userName: shown on the banner")
	flags.StringVar(&f.scene, "scene", "", "scene: voice or video")
	flags.StringVar(&f.callType, "voip-call-type", "", "voipCallType: voice, video, 0 or 1")
	flags.StringVar(&f.avatar, "avatar", "", "avatar: https://…, data:image/…;base64,… or resource:NAME")
	flags.Float64Var(&f.density, "density", 0, "density: pixels per vp, 0.5 to 4.0")
	flags.StringVar(&f.ability, "ability-name", "", "abilityName: loaded on answer")
	flags.StringVar(&f.direction, "direction", "", "direction: outgoing or incoming")
	flags.BoolVar(&f.banner, "show-banner-for-incoming-call", false, "showBannerForIncomingCall")
	flags.BoolVar(&f.conference, "is-conference-call", false, "isConferenceCall")
	flags.BoolVar(&f.answer, "is-voice-answer-supported", false, "isVoiceAnswerSupported")
	flags.BoolVar(&f.mute, "is-user-mute-ring-tone-allowed", false, "isUserMuteRingToneAllowed")
	flags.BoolVar(&f.carrier, "is-dialing-allowed-during-carrier-call", false, "isDialingAllowedDuringCarrierCall")
	flags.StringVar(&f.device, "device-id", "", "deviceId: whose Call Kit is asked")
	flags.StringVar(&f.bundle, "bundle-name", "", "bundleName: whose Call Kit is asked")
	flags.IntVar(&f.ttl, "ttl-seconds", 0, "ttlSeconds: the call's life, 1 to 300")
}

// names are the flags that are fields.
func (f *fieldFlags) names() []string {
	return []string{
		"user-name", "scene", "voip-call-type", "avatar", "density", "ability-name", "direction", "show-banner-for-incoming-call",
		"is-conference-call", "is-voice-answer-supported", "is-user-mute-ring-tone-allowed", "is-dialing-allowed-during-carrier-call",
		"device-id", "bundle-name", "ttl-seconds",
	}
}

// any says whether any field was given.
func (f *fieldFlags) any(flags *pflag.FlagSet) bool {
	return slices.ContainsFunc(f.names(), flags.Changed)
}

// values are the fields that were given.
func (f *fieldFlags) values(flags *pflag.FlagSet) (*voip.PushFields, error) {
	v := &voip.PushFields{
		UserName: given(flags, "user-name", &f.userName), Scene: given(flags, "scene", &f.scene),
		Avatar: given(flags, "avatar", &f.avatar), Density: given(flags, "density", &f.density),
		AbilityName: given(flags, "ability-name", &f.ability), DeviceID: given(flags, "device-id", &f.device),
		BundleName: given(flags, "bundle-name", &f.bundle), TTLSeconds: given(flags, "ttl-seconds", &f.ttl),
		ShowBannerForIncomingCall:         given(flags, "show-banner-for-incoming-call", &f.banner),
		IsConferenceCall:                  given(flags, "is-conference-call", &f.conference),
		IsVoiceAnswerSupported:            given(flags, "is-voice-answer-supported", &f.answer),
		IsUserMuteRingToneAllowed:         given(flags, "is-user-mute-ring-tone-allowed", &f.mute),
		IsDialingAllowedDuringCarrierCall: given(flags, "is-dialing-allowed-during-carrier-call", &f.carrier),
	}
	if d := voip.Direction(f.direction); flags.Changed("direction") {
		v.Direction = &d
	}
	if !flags.Changed("voip-call-type") {
		return v, nil
	}
	t := voip.VoipCallVoice
	switch f.callType {
	case "voice", "0":
	case "video", "1":
		t = voip.VoipCallVideo
	default:
		return nil, fmt.Errorf("--voip-call-type %q: want voice, video, 0 or 1", f.callType)
	}
	v.VoipCallType = &t
	return v, nil
}

func given[T any](flags *pflag.FlagSet, name string, value *T) *T {
	if flags.Changed(name) {
		return value
	}
	return nil
}
