package settings

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// unknown names the variables of the groups that no setting has, each with the
// setting that it comes nearest to.
func unknown(vars []Variable) []string {
	var warnings []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if !ours(vars, name) {
			continue
		}
		warning := name + " is no setting"
		if near := nearest(vars, name); near != "" {
			warning += fmt.Sprintf(", did you mean %s?", near)
		}
		warnings = append(warnings, warning)
	}
	slices.Sort(warnings)
	return warnings
}

// ours says that a variable is of a group of settings, and none of them.
// HTTP_PROXY belongs to others, and so does what Kubernetes sets for a service
// named like a group (NATS_SERVICE_HOST, NATS_PORT_4222_TCP): that collision is
// turned off by enableServiceLinks: false. The OTEL_* group has many more that
// the SDK reads, or other signals: of it only what is a letter or two away from
// a setting is looked at.
func ours(vars []Variable, name string) bool {
	if name == "HTTP_PROXY" || slices.ContainsFunc(vars, func(v Variable) bool { return v.Name == name }) {
		return false
	}
	return slices.ContainsFunc(vars, func(v Variable) bool {
		return strings.HasPrefix(name, v.group+"_") && (v.group != "OTEL" || distance(name, v.Name) <= nearOTel)
	})
}

const nearOTel = 2

// nearest is the setting that a name is a few letters away from, or the file that
// its value stands in: secrets are no settings themselves.
func nearest(vars []Variable, name string) string {
	best, at := "", len(name)/3+1
	for _, v := range vars {
		if v.Name == name+"_FILE" {
			return v.Name
		}
		if d := distance(name, v.Name); d < at {
			best, at = v.Name, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
