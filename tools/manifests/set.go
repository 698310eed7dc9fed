package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// set is what is applied together.
type set struct {
	named   map[string]runtime.Object // by kind and name
	objects []runtime.Object
	pods    []*corev1.PodTemplateSpec
	errs    []error
}

func (s *set) add(o *unstructured.Unstructured, typed runtime.Object) {
	key := o.GetKind() + " " + o.GetName()
	if s.named[key] != nil {
		s.errs = append(s.errs, fmt.Errorf("%s is there twice", key))
	}
	s.named[key] = typed
	s.objects = append(s.objects, typed)
	if pod := podOf(typed); pod != nil {
		s.pods = append(s.pods, pod)
	}
}

func podOf(o runtime.Object) *corev1.PodTemplateSpec {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *appsv1.StatefulSet:
		return &o.Spec.Template
	case *batchv1.Job:
		return &o.Spec.Template
	}
	return nil
}

// check follows every reference within the set. Secrets are made by hand, and
// are never in it.
func (s *set) check() error {
	scaled := ""
	for _, o := range s.objects {
		switch o := o.(type) {
		case *appsv1.Deployment:
			s.selects("Deployment "+o.Name, o.Spec.Selector, &o.Spec.Template)
		case *appsv1.StatefulSet:
			s.selects("StatefulSet "+o.Name, o.Spec.Selector, &o.Spec.Template)
			s.there("StatefulSet "+o.Name, "Service "+o.Spec.ServiceName)
		case *policyv1.PodDisruptionBudget:
			s.selects("PodDisruptionBudget "+o.Name, o.Spec.Selector, s.pods...)
		case *networkingv1.NetworkPolicy:
			s.selects("NetworkPolicy "+o.Name, &o.Spec.PodSelector, s.pods...)
		case *corev1.Service:
			s.service(o)
		case *autoscalingv2.HorizontalPodAutoscaler:
			scaled = o.Spec.ScaleTargetRef.Kind + " " + o.Spec.ScaleTargetRef.Name
			s.there("HorizontalPodAutoscaler "+o.Name, scaled)
		case *unstructured.Unstructured:
			if o.GetKind() == "ScaledObject" {
				name, _, _ := unstructured.NestedString(o.Object, "spec", "scaleTargetRef", "name")
				scaled = "Deployment " + name
				s.there("ScaledObject "+o.GetName(), scaled)
			}
			if o.GetKind() == "PodMonitor" {
				s.monitor(o)
			}
		}
	}
	for _, pod := range s.pods {
		s.pod(pod)
	}
	if d, ok := s.named[scaled].(*appsv1.Deployment); ok && d.Spec.Replicas != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: it has replicas beside an autoscaler: each apply resets what that has set", scaled))
	}
	return errors.Join(s.errs...)
}

func (s *set) there(who, what string) {
	if s.named[what] == nil {
		s.errs = append(s.errs, fmt.Errorf("%s: there is no %s", who, what))
	}
}

// selects wants a selector to meet at least one of the pods.
func (s *set) selects(who string, selector *metav1.LabelSelector, pods ...*corev1.PodTemplateSpec) {
	match, err := metav1.LabelSelectorAsSelector(selector)
	if err == nil && !slices.ContainsFunc(pods, func(p *corev1.PodTemplateSpec) bool { return match.Matches(labels.Set(p.Labels)) }) {
		err = fmt.Errorf("its selector %s meets no pod", match)
	}
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", who, err))
	}
}

func (s *set) service(o *corev1.Service) {
	s.selects("Service "+o.Name, metav1.SetAsLabelSelector(o.Spec.Selector), s.pods...)
	for _, port := range o.Spec.Ports {
		s.port("Service "+o.Name, port.TargetPort.StrVal)
	}
}

func (s *set) monitor(o *unstructured.Unstructured) {
	endpoints, _, _ := unstructured.NestedSlice(o.Object, "spec", "podMetricsEndpoints")
	for _, e := range endpoints {
		if m, ok := e.(map[string]any); ok {
			port, _ := m["port"].(string)
			s.port("PodMonitor "+o.GetName(), port)
		}
	}
}

// port wants a named port to be one of some container.
func (s *set) port(who, name string) {
	for _, pod := range s.pods {
		for _, c := range pod.Spec.Containers {
			if name == "" || slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == name }) {
				return
			}
		}
	}
	s.errs = append(s.errs, fmt.Errorf("%s: no container has a port %q", who, name))
}

// pod follows what a pod refers to.
func (s *set) pod(pod *corev1.PodTemplateSpec) {
	who := "pod " + pod.Labels["app.kubernetes.io/name"]
	if name := pod.Spec.ServiceAccountName; name != "" {
		s.there(who, "ServiceAccount "+name)
	}
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil {
			s.there(who, "ConfigMap "+v.ConfigMap.Name)
		}
	}
	for _, o := range s.objects {
		if set, ok := o.(*appsv1.StatefulSet); ok && &set.Spec.Template == pod {
			for _, claim := range set.Spec.VolumeClaimTemplates {
				volumes[claim.Name] = true
			}
		}
	}
	for _, c := range pod.Spec.Containers {
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef != nil && !optional(from.ConfigMapRef) {
				s.there(who, "ConfigMap "+from.ConfigMapRef.Name)
			}
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				s.errs = append(s.errs, fmt.Errorf("%s: there is no volume %s", who, m.Name))
			}
		}
		for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if probe != nil && probe.HTTPGet != nil {
				s.port(who, probe.HTTPGet.Port.StrVal)
			}
		}
	}
	s.drain(who, pod)
	s.user(who, pod)
}

func optional(ref *corev1.ConfigMapEnvSource) bool { return ref.Optional != nil && *ref.Optional }

// user wants whoever has the password of a user, which the Secret is named
// after, to log in as that user. Without one the credentials say who it is.
func (s *set) user(who string, pod *corev1.PodTemplateSpec) {
	for _, v := range pod.Spec.Volumes {
		if v.Secret == nil {
			continue
		}
		user, ok := strings.CutPrefix(v.Secret.SecretName, "voip-")
		if user, ok = strings.CutSuffix(user, "-nats"); !ok {
			continue
		}
		for _, c := range pod.Spec.Containers {
			if got := s.setting(&c, "NATS_USER"); got != user && (got != "" || s.named["StatefulSet nats"] != nil) {
				s.errs = append(s.errs, fmt.Errorf("%s: NATS_USER is %q beside the Secret %s", who, got, v.Secret.SecretName))
			}
		}
	}
}

// setting is a variable as the container gets it: the last one that is given.
func (s *set) setting(c *corev1.Container, name string) (value string) {
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef == nil {
			continue
		}
		if m, ok := s.named["ConfigMap "+from.ConfigMapRef.Name].(*corev1.ConfigMap); ok && m.Data[name] != "" {
			value = m.Data[name]
		}
	}
	for _, e := range c.Env {
		if e.Name == name {
			value = e.Value
		}
	}
	return value
}
