// Package telemetry is what a worker shows of itself: log lines whose private
// values stay private, Prometheus metrics, traces, the probes /livez and
// /readyz, and the version of the build.
//
// It imports nothing else of this module: label values, private values and the
// attributes of a context come in as strings, small interfaces and functions.
package telemetry
