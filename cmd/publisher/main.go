// Command publisher stands in for a push gateway: it sends pushes as one does.
package main

import (
	"os"

	"github.com/voip-push/worker/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(newRoot())) }
