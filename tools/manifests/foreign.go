package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// definition is a custom resource's, as the cluster reads it.
type definition struct {
	structural *structuralschema.Structural
	validate   validation.SchemaValidator
}

// scaler is what a trigger of KEDA may say, and must.
type scaler struct {
	Type       string `json:"type"`
	Parameters []struct {
		Name     string `json:"name"`
		Optional bool   `json:"optional"`
		Default  string `json:"default"`
	} `json:"parameters"`
}

// definitions reads those of the modules that the go.mod in a folder names.
func definitions(folder string) (map[schema.GroupVersionKind]*definition, map[string]scaler, error) {
	keda, err := moduleDir(folder, "github.com/kedacore/keda/v2")
	if err != nil {
		return nil, nil, err
	}
	operator, err := moduleDir(folder, "github.com/prometheus-operator/prometheus-operator")
	if err != nil {
		return nil, nil, err
	}
	all := map[schema.GroupVersionKind]*definition{}
	for _, file := range []string{
		filepath.Join(keda, "config/crd/bases/keda.sh_scaledobjects.yaml"),
		filepath.Join(operator, "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml"),
		filepath.Join(operator, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
	} {
		if err := readDefinition(file, all); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	scalers, err := readScalers(filepath.Join(keda, "schema/generated/scalers-schema.json"))
	return all, scalers, err
}

// moduleDir is where a module lies, downloaded if need be.
func moduleDir(folder, module string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "go", "mod", "download", "-json", module)
	cmd.Dir = folder
	out, err := cmd.Output()
	var m struct{ Dir, Error string }
	if err := errors.Join(err, json.Unmarshal(out, &m)); err != nil || m.Dir == "" {
		return "", fmt.Errorf("download %s: %w %s", module, err, m.Error)
	}
	return m.Dir, nil
}

func readDefinition(file string, into map[schema.GroupVersionKind]*definition) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var crd apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(b, &crd); err != nil {
		return err
	}
	for _, v := range crd.Spec.Versions {
		var props apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, &props, nil); err != nil {
			return err
		}
		var d definition
		if d.structural, err = structuralschema.NewStructural(&props); err != nil {
			return err
		}
		if d.validate, _, err = validation.NewSchemaValidator(&props); err != nil {
			return err
		}
		into[schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}] = &d
	}
	return nil
}

func (d *definition) check(o *unstructured.Unstructured) error {
	var errs []error
	for _, e := range validation.ValidateCustomResource(nil, o.UnstructuredContent(), d.validate) {
		errs = append(errs, e)
	}
	unknown := pruning.PruneWithOptions(o.DeepCopy().UnstructuredContent(), d.structural, true,
		structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range unknown {
		errs = append(errs, fmt.Errorf("unknown field %q", path))
	}
	return errors.Join(errs...)
}

func readScalers(file string) (map[string]scaler, error) {
	var all struct {
		Scalers []scaler `json:"scalers"`
	}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &all)
	}
	byType := map[string]scaler{}
	for _, s := range all.Scalers {
		byType[s.Type] = s
	}
	return byType, err
}

// triggers holds those of a ScaledObject against what their scalers read: KEDA
// itself ignores a key that it does not know.
func (c *checker) triggers(o *unstructured.Unstructured) error {
	triggers, _, err := unstructured.NestedSlice(o.Object, "spec", "triggers")
	if o.GetKind() != "ScaledObject" || err != nil {
		return err
	}
	var errs []error
	for _, t := range triggers {
		trigger, _ := t.(map[string]any)
		kind, _, _ := unstructured.NestedString(trigger, "type")
		metadata, _, err := unstructured.NestedStringMap(trigger, "metadata")
		s, known := c.scalers[kind]
		if err != nil || !known {
			errs = append(errs, fmt.Errorf("trigger %q: %w", kind, errors.Join(err, errUnknownScaler(known))))
			continue
		}
		var legal []string
		for _, p := range s.Parameters {
			legal = append(legal, p.Name)
			if _, given := metadata[p.Name]; !given && !p.Optional && p.Default == "" {
				errs = append(errs, fmt.Errorf("trigger %s: %s is missing", kind, p.Name))
			}
		}
		for name := range metadata {
			if !slices.Contains(legal, name) {
				errs = append(errs, fmt.Errorf("trigger %s: it reads no %s, but %s", kind, name, strings.Join(legal, ", ")))
			}
		}
	}
	return errors.Join(errs...)
}

func errUnknownScaler(known bool) error {
	if known {
		return nil
	}
	return errors.New("KEDA has no such scaler")
}
