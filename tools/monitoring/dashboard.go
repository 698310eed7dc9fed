package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
)

type dashboard struct {
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Query string `json:"query"`
		} `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int     `json:"id"`
	Type        string  `json:"type"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Panels      []panel `json:"panels"`
	Targets     []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// checkDashboard wants of every panel that it asks for something, and that
// something answers.
func checkDashboard(known *metrics, path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var d dashboard
	if err := json.Unmarshal(b, &d); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	// Grafana fills these in before it asks.
	fill := []string{"$__rate_interval", "5m"}
	var errs []error
	for _, v := range d.Templating.List {
		fill = append(fill, "$"+v.Name, ".*")
		if v.Type == "query" {
			errs = append(errs, checkVariable(known, v.Name, v.Query))
		}
	}
	filled := strings.NewReplacer(fill...)
	ids := map[int]bool{}
	for _, p := range d.Panels {
		where := fmt.Sprintf("%s: panel %q", path, p.Title)
		if ids[p.ID] {
			errs = append(errs, fmt.Errorf("%s: a second one with id %d", where, p.ID))
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 || len(p.Panels) > 0 {
			errs = append(errs, fmt.Errorf("%s: want expressions, and no panels inside of it", where))
		}
		for _, t := range p.Targets {
			errs = append(errs, known.check(where, filled.Replace(t.Expr)))
		}
	}
	return errors.Join(errs...)
}

var labelValues = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)

func checkVariable(known *metrics, name, query string) error {
	m := labelValues.FindStringSubmatch(query)
	if m == nil {
		return fmt.Errorf("variable %s: want label_values(metric, label), not %q", name, query)
	}
	return errors.Join(known.check("variable "+name, m[1]), known.labels(m[2:]))
}
