// Command voipctl is the operator's hand: it watches, explains and audits calls,
// cancels them, and minds the dead letters.
package main

import (
	"os"

	"github.com/voip-push/worker/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(newRoot())) }
