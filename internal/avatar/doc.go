// Package avatar turns what a push says of its caller's picture into the
// picture that Call Kit is given: an untrusted URL in, a square of 32vp out,
// within a time budget, and never a lost call.
//
// The way of a picture is source.go (https, http, data and resource forms),
// cache.go and load.go (one fetch for all calls that need the same picture),
// url.go and dial.go (what may be fetched), fetch.go, room.go (how much at
// once), guard.go (header checks before a decoder sees a byte), decode.go,
// planes.go and resample.go, render.go. What leaves is always encoded anew
// from pixels: no metadata, no trailing bytes.
package avatar
