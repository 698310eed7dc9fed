// Package report tells Call Kit's side of a call: the attempts of one call,
// until it is known that the call was reported, that it cannot be, or that it
// is too late. Where the request goes is a Transport's business.
package report
