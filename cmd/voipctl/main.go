// Command voipctl is the operator's hand: it watches results and cancels calls.
package main

import (
	"os"

	"github.com/voip-push/worker/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(newRoot())) }
