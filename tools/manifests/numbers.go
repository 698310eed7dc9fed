package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// numbers holds what a pod says twice against each other.
func numbers(pod *corev1.PodTemplateSpec) error {
	var errs []error
	for _, c := range pod.Spec.Containers {
		limit := c.Resources.Limits.Memory().Value()
		if limit == 0 {
			errs = append(errs, fmt.Errorf("container %s: it has no limit on memory", c.Name))
		}
		for _, e := range c.Env {
			if e.Name != "GOMEMLIMIT" {
				continue
			}
			mib, err := strconv.ParseInt(strings.TrimSuffix(e.Value, "MiB"), 10, 64)
			if share := float64(mib<<20) / float64(limit); err != nil || share < 0.8 || share > 0.9 {
				errs = append(errs, fmt.Errorf("container %s: GOMEMLIMIT=%s is no 80 to 90 %% of its limit of %d MiB", c.Name, e.Value, limit>>20))
			}
		}
	}
	return errors.Join(errs...)
}

// drain wants a worker to be given the time that it may take to stop.
func (s *set) drain(who string, pod *corev1.PodTemplateSpec) {
	for _, c := range pod.Spec.Containers {
		for _, from := range c.EnvFrom {
			if from.ConfigMapRef == nil {
				continue
			}
			settings, ok := s.named["ConfigMap "+from.ConfigMapRef.Name].(*corev1.ConfigMap)
			if !ok || pod.Spec.TerminationGracePeriodSeconds == nil {
				continue
			}
			drain, err := time.ParseDuration(settings.Data["CONSUMER_DRAIN_TIMEOUT"])
			grace := time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second
			if err != nil || grace <= drain+5*time.Second {
				s.errs = append(s.errs, fmt.Errorf("%s: terminationGracePeriodSeconds of %v is not more than CONSUMER_DRAIN_TIMEOUT (%v) and 5s: %w",
					who, grace, drain, errors.Join(err)))
			}
		}
	}
}
