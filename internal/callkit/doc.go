// Package callkit is a model of the system's voipCall module, as far as what
// an app can see of it is public. It stands in for the devices: in tests, in
// the demo, and for whoever develops a bridge.
//
// Every rule says where it comes from: (doc) Huawei's documentation of Call
// Kit, (src) OpenHarmony's telephony_call_manager, (model) a choice of ours
// where nothing public settles it.
package callkit
