// Package stream reads JetStream streams where nats.go's own consumers will not
// do: a Puller asks for messages as there is room for them, and a Follower reads
// a stream in order. Both take a message for a word of the server's only when it
// is one, whatever headers a publisher has given it.
package stream
