package settings

import (
	"github.com/voip-push/worker/internal/broker"
)

// NATS is the group that all three commands share.
type NATS struct {
	URL           string `split_words:"true" default:"embedded" desc:"The broker: \"embedded\" runs one in the worker's own process, else a comma-separated list of servers. The other commands reach an embedded broker at NATS_EMBEDDED_ADDR. The production build has none: there it must be set."`
	CredsFile     string `split_words:"true" desc:"File with NATS credentials (JWT and seed), read again at each connect."`
	User          string `split_words:"true" desc:"User name, with NATS_PASSWORD_FILE."`
	PasswordFile  string `split_words:"true" desc:"File with the user's password, read again at each connect."`
	TLSCaFile     string `split_words:"true" desc:"File with the authorities that the servers' certificates are checked against; without it the system's."`
	TLSCertFile   string `split_words:"true" desc:"File with the client certificate, with NATS_TLS_KEY_FILE."`
	TLSKeyFile    string `split_words:"true" desc:"File with the client certificate's key."`
	Provision     string `split_words:"true" oneof:",true,false" desc:"Whether a worker creates and updates the streams, the consumer and the bucket at its start; without it they are bound, and waited for when they are missing. Unset: true with the embedded broker, else false."`
	Replicas      int    `split_words:"true" default:"1" min:"1" max:"5" desc:"Copies of every stream."`
	PushMaxBytes  Size   `split_words:"true" default:"1GiB" min:"1MiB" desc:"How large the stream of pushes may grow; a full one says no to its gateways."`
	MaxAckPending int    `split_words:"true" default:"16384" min:"1" desc:"Pushes that the whole fleet may hold."`
	EmbeddedAddr  string `split_words:"true" default:"127.0.0.1:4222" desc:"Where the embedded broker listens; port 0: any free one."`
	EmbeddedDir   string `split_words:"true" default:"voip-data" desc:"The embedded broker's data folder."`
}

// Broker is the group as the broker package takes it.
func (n *NATS) Broker() broker.Config {
	return broker.Config{
		URL: n.URL, CredsFile: n.CredsFile, User: n.User, PasswordFile: n.PasswordFile,
		TLSCAFile: n.TLSCaFile, TLSCertFile: n.TLSCertFile, TLSKeyFile: n.TLSKeyFile,
		Replicas: n.Replicas, PushMaxBytes: int64(n.PushMaxBytes), MaxAckPending: n.MaxAckPending,
		EmbeddedAddr: n.EmbeddedAddr, EmbeddedDir: n.EmbeddedDir,
	}
}
