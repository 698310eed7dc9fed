// Command manifests renders deploy/k8s in every combination of an overlay and
// components, and checks what comes out as strictly as a cluster would: no
// field that its kind does not have, the schemas of KEDA and the Prometheus
// operator, Pod Security "restricted", references that lead somewhere, and the
// numbers that belong together. The order of the components must not matter.
// With -out it leaves what it has rendered there.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := flag.String("root", ".", "the `folder` of the project")
	out := flag.String("out", "", "a `folder` for what is rendered")
	flag.Parse()
	check, err := newChecker(filepath.Join(*root, "tools", "crds"))
	var n int
	if err == nil {
		n, err = check.run(*root, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(n, "combinations are sound")
}

// run joins everything that is wrong, each with the combination that shows it.
func (c *checker) run(root, out string) (int, error) {
	all, err := combinations(filepath.Join(root, "deploy"))
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, one := range all {
		objects, text, err := one.render()
		if err == nil {
			err = errors.Join(c.all(objects), one.ordered(objects))
		}
		if err == nil && out != "" {
			err = os.WriteFile(filepath.Join(out, one.file()), text, 0o644)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", one, err))
		}
	}
	return len(all), errors.Join(errs...)
}
