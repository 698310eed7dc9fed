// Command worker consumes VoIP pushes from NATS JetStream, reports each call to
// Call Kit, and publishes what became of it.
package main

import (
	"os"

	"github.com/voip-push/worker/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(newRoot())) }
