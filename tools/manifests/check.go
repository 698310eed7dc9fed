package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// checker knows the kinds of a cluster with KEDA and the Prometheus operator.
type checker struct {
	decode   runtime.Decoder // strict: a field that its kind does not have is an error
	security policy.Evaluator
	foreign  map[schema.GroupVersionKind]*definition
	scalers  map[string]scaler
}

func newChecker(crds string) (*checker, error) {
	security, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	c := &checker{
		decode:   json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Strict: true}),
		security: security,
	}
	if c.foreign, c.scalers, err = definitions(crds); err != nil {
		return nil, err
	}
	return c, nil
}

// all joins what is wrong with the objects of one combination.
func (c *checker) all(objects []*unstructured.Unstructured) error {
	set := &set{named: map[string]runtime.Object{}}
	var errs []error
	for _, o := range objects {
		if d, foreign := c.foreign[o.GroupVersionKind()]; foreign {
			errs = append(errs, about(o, d.check(o)), about(o, c.triggers(o)))
			set.add(o, o)
			continue
		}
		typed, err := c.typed(o)
		if err != nil {
			errs = append(errs, about(o, err))
			continue
		}
		set.add(o, typed)
		if pod := podOf(typed); pod != nil {
			errs = append(errs, about(o, c.secure(pod)), about(o, numbers(pod)))
		}
	}
	return errors.Join(append(errs, set.check())...)
}

func about(o *unstructured.Unstructured, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
}

func (c *checker) typed(o *unstructured.Unstructured) (runtime.Object, error) {
	b, err := o.MarshalJSON()
	if err != nil {
		return nil, err
	}
	typed, _, err := c.decode.Decode(b, nil, nil)
	return typed, err
}

func (c *checker) secure(pod *corev1.PodTemplateSpec) error {
	var errs []error
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, r := range c.security.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !r.Allowed {
			errs = append(errs, fmt.Errorf("not restricted: %s: %s", r.ForbiddenReason, r.ForbiddenDetail))
		}
	}
	// Beyond "restricted".
	if pod.Spec.EnableServiceLinks == nil || *pod.Spec.EnableServiceLinks {
		errs = append(errs, errors.New("enableServiceLinks is not false: a Service's variables look like settings"))
	}
	if t := pod.Spec.AutomountServiceAccountToken; t == nil || *t {
		errs = append(errs, errors.New("automountServiceAccountToken is not false"))
	}
	for _, container := range pod.Spec.Containers {
		errs = append(errs, released(container.Image))
		if s := container.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			errs = append(errs, fmt.Errorf("container %s: readOnlyRootFilesystem is not true", container.Name))
		}
		for _, m := range container.VolumeMounts {
			if m.SubPath != "" || m.SubPathExpr != "" {
				errs = append(errs, fmt.Errorf("container %s: %s is mounted by a subPath: the kubelet would not bring it what changes", container.Name, m.Name))
			}
		}
		for _, e := range container.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				errs = append(errs, fmt.Errorf("container %s: %s is a secret in a variable: mount it", container.Name, e.Name))
			}
		}
	}
	return errors.Join(errs...)
}

// tags are those that there are of the project's images: `make image` builds one,
// the release workflow pushes the git tags that begin with a v.
var tags = regexp.MustCompile(`^(devel|v\d+\.\d+\.\d+\S*)$`)

func released(image string) error {
	name, tag, _ := strings.Cut(image, ":")
	if strings.HasPrefix(name, "ghcr.io/voip-push/") && !tags.MatchString(tag) && !strings.Contains(image, "@") {
		return fmt.Errorf("no release pushes %s: want a tag such as v1.2.3", image)
	}
	return nil
}
