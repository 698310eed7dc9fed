// Package broker is the way to NATS: the connection with the options that a
// worker needs, the streams, the consumer and the bucket that the project
// stands on, and an embedded broker for development.
package broker
