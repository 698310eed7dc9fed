package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// combination is an overlay with components, as a user would put them together.
type combination struct {
	deploy     string // the folder of the project's deploy
	overlay    string // in deploy/k8s
	components []string
}

func (c combination) String() string { return c.overlay + " with " + strings.Join(c.components, ", ") }

func (c combination) file() string {
	return strings.ReplaceAll(strings.Join(append([]string{c.overlay}, c.components...), "+"), "/", "-") + ".yaml"
}

// excludes says what does not go together, in either order.
func excludes(a, b string) bool {
	pairs := [][2]string{
		{"hpa", "keda"},                 // two autoscalers of one Deployment fight
		{"nats", "overlays/dev"},        // which has a server of its own
		{"provision", "overlays/dev"},   // which takes it already
		{"nats", "overlays/production"}, // which names a broker of its own
	}
	return slices.Contains(pairs, [2]string{a, b}) || slices.Contains(pairs, [2]string{b, a})
}

// combinations are all that go together.
func combinations(deploy string) ([]combination, error) {
	components, err := names(filepath.Join(deploy, "k8s", "components"))
	if err != nil {
		return nil, err
	}
	overlays, err := names(filepath.Join(deploy, "k8s", "overlays"))
	if err != nil {
		return nil, err
	}
	all := []combination{{deploy: deploy, overlay: "base"}}
	for _, o := range overlays {
		all = append(all, combination{deploy: deploy, overlay: "overlays/" + o})
	}
	for _, name := range components {
		for _, c := range all {
			if !excludes(name, c.overlay) && !slices.ContainsFunc(c.components, func(other string) bool { return excludes(name, other) }) {
				c.components = append(slices.Clone(c.components), name)
				all = append(all, c)
			}
		}
	}
	return all, nil
}

func names(folder string) (all []string, err error) {
	entries, err := os.ReadDir(folder)
	for _, e := range entries {
		if e.IsDir() {
			all = append(all, e.Name())
		}
	}
	return all, err
}

// render does what kustomize does, on a copy whose overlay takes the
// components.
func (c combination) render() ([]*unstructured.Unstructured, []byte, error) {
	memory, err := load(c.deploy)
	if err != nil {
		return nil, nil, err
	}
	folder := path.Join("/deploy/k8s", c.overlay)
	if err := c.take(memory, path.Join(folder, "kustomization.yaml")); err != nil {
		return nil, nil, err
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, folder)
	if err != nil {
		return nil, nil, err
	}
	var objects []*unstructured.Unstructured
	for _, r := range resources.Resources() {
		b, err := r.MarshalJSON() // as a cluster gets it
		if err != nil {
			return nil, nil, err
		}
		o := &unstructured.Unstructured{}
		if err := o.UnmarshalJSON(b); err != nil {
			return nil, nil, err
		}
		objects = append(objects, o)
	}
	text, err := resources.AsYaml()
	return objects, text, err
}

// ordered wants the same objects of two components when they are named the other
// way round. More than two are pairs of them.
func (c combination) ordered(objects []*unstructured.Unstructured) error {
	if len(c.components) != 2 {
		return nil
	}
	c.components = []string{c.components[1], c.components[0]}
	others, _, err := c.render()
	if err != nil {
		return fmt.Errorf("named the other way round: %w", err)
	}
	var errs []error
	for _, o := range objects {
		if !slices.ContainsFunc(others, func(other *unstructured.Unstructured) bool { return reflect.DeepEqual(o, other) }) {
			errs = append(errs, about(o, errors.New("it is another when the components are named the other way round")))
		}
	}
	return errors.Join(errs...)
}

// load copies a folder to /deploy in memory.
func load(deploy string) (filesys.FileSystem, error) {
	memory := filesys.MakeFsInMemory()
	err := fs.WalkDir(os.DirFS(deploy), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(deploy, name))
		if err != nil {
			return err
		}
		return memory.WriteFile(path.Join("/deploy", filepath.ToSlash(name)), b)
	})
	return memory, err
}

// take adds the components to a kustomization. The replicas are an autoscaler's
// where there is one, as the READMEs of both say.
func (c combination) take(memory filesys.FileSystem, file string) error {
	b, err := memory.ReadFile(file)
	if err != nil {
		return err
	}
	var k map[string]any
	if err := yaml.Unmarshal(b, &k); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	up := strings.Repeat("../", strings.Count(c.overlay, "/")+1)
	list, _ := k["components"].([]any) // none is none
	for _, name := range c.components {
		list = append(list, up+"components/"+name)
		if name == "hpa" || name == "keda" {
			delete(k, "replicas")
		}
	}
	k["components"] = list
	if b, err = yaml.Marshal(k); err != nil {
		return err
	}
	return memory.WriteFile(file, b)
}
