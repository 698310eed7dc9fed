// Package chaos breaks the fleet until it holds: real worker processes against
// real nats-server processes, alone and as a cluster of three, with a bridge
// that keeps a ledger of every report that it received. Faults come from a
// seed, and every test ends with the same verdict: `voipctl audit`, and the
// results and the dead letters held against the ledger.
//
//	make chaos              # the long form
//	go test -run TestWorkerKilled -seed 7 -v .
package chaos
