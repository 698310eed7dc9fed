// Package consumer is a worker's side of the push stream: it pulls pushes,
// holds each under a lease, claims its call, runs it through the stages and
// settles it. docs/ARCHITECTURE.md tells the life of a push, and which crash is
// answered by what.
//
// handler.go is the pipeline, with no broker in it; all that speaks to the
// broker about the push itself stands in the other files.
package consumer
