package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const project = "../.."

// theChecker reads its definitions once.
var theChecker = sync.OnceValues(func() (*checker, error) { return newChecker(filepath.Join(project, "tools/crds")) })

func mustChecker(t *testing.T) *checker {
	t.Helper()
	c, err := theChecker()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProject(t *testing.T) {
	n, err := mustChecker(t).run(project, t.TempDir())
	if err != nil {
		t.Error(err)
	}
	if n < 30 {
		t.Errorf("%d combinations, want those of base, dev and production with five components", n)
	}
}

// Each fault is found, by what it breaks.
func TestFaults(t *testing.T) {
	check := mustChecker(t)
	for name, tt := range map[string]struct{ file, old, with, want string }{
		"a misspelt field":                        {"base/deployment.yaml", "minReadySeconds", "minReadySecond", `Deployment voip-worker: strict decoding error: unknown field "spec.minReadySecond"`},
		"a container that runs as root":           {"base/deployment.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "Deployment voip-worker: not restricted: runAsNonRoot != true"},
		"a capability":                            {"base/deployment.yaml", "drop: [ALL]", "add: [NET_ADMIN]", "not restricted: unrestricted capabilities"},
		"a root that can be written":              {"components/nats/statefulset.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "StatefulSet nats: container nats: readOnlyRootFilesystem"},
		"a Service's variables":                   {"base/deployment.yaml", "enableServiceLinks: false", "enableServiceLinks: true", "enableServiceLinks is not false"},
		"a token":                                 {"components/provision/job.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true", "Job voip-provision: automountServiceAccountToken"},
		"a misspelt field of KEDA":                {"components/keda/scaledobject.yaml", "cooldownPeriod", "coolDownPeriod", `ScaledObject voip-worker: unknown field "spec.coolDownPeriod"`},
		"a value that KEDA does not know":         {"components/keda/scaledobject.yaml", "currentReplicasIfHigher", "higher", "Unsupported value: \"higher\""},
		"a misspelt key of a trigger":             {"components/keda/scaledobject.yaml", "lagThreshold:", "lagTreshold:", "it reads no lagTreshold"},
		"a key of a trigger that is missing":      {"components/keda/scaledobject.yaml", "consumer: voip-workers", "", "consumer is missing"},
		"a scaler that there is not":              {"components/keda/scaledobject.yaml", "type: nats-jetstream", "type: nats", "KEDA has no such scaler"},
		"a misspelt field of a PodMonitor":        {"components/monitoring/podmonitor.yaml", "scrapeTimeout", "scrapeTimeOut", `PodMonitor voip-worker: unknown field "spec.podMetricsEndpoints[0].scrapeTimeOut"`},
		"a duration that is none":                 {"components/monitoring/podmonitor.yaml", "interval: 15s", "interval: often", "spec.podMetricsEndpoints[0].interval"},
		"a port that no container has":            {"components/monitoring/podmonitor.yaml", "port: http", "port: metrics", `PodMonitor voip-worker: no container has a port "metrics"`},
		"a selector that meets no pod":            {"base/poddisruptionbudget.yaml", "name: voip-worker\n", "name: voip-workers\n", "PodDisruptionBudget"},
		"an autoscaler of something else":         {"components/hpa/horizontalpodautoscaler.yaml", "    name: voip-worker\n  #", "    name: worker\n  #", "there is no Deployment worker"},
		"replicas beside an autoscaler":           {"components/hpa/kustomization.yaml", "replicas: null", "replicas: 3", "it has replicas beside an autoscaler"},
		"settings that are not there":             {"components/provision/job.yaml", "name: voip-worker\n            #", "name: voip-settings\n            #", "there is no ConfigMap voip-settings"},
		"a volume that is not there":              {"components/nats/statefulset.yaml", "{name: data, mountPath", "{name: store, mountPath", "there is no volume store"},
		"memory that the runtime is not told of":  {"overlays/production/deployment.yaml", "memory: 512Mi", "memory: 1Gi", "GOMEMLIMIT=435MiB is no 80 to 90 %"},
		"a kubelet that kills a worker too early": {"base/worker.env", "CONSUMER_DRAIN_TIMEOUT=20s", "CONSUMER_DRAIN_TIMEOUT=25s", "is not more than CONSUMER_DRAIN_TIMEOUT (25s)"},
		"an operator by the worker's name":        {"components/nats/operator.env", "NATS_USER=operator", "NATS_REPLICAS=3", `pod voip-provision: NATS_USER is "worker" beside the Secret voip-operator-nats`},
		"a password of nobody":                    {"components/nats/worker.env", "NATS_USER=worker", "", `pod voip-worker: NATS_USER is "" beside the Secret voip-worker-nats`},
		"a component that wants to be the first": {
			"components/nats/kustomization.yaml", "patches:", "patches:\n  - target: {kind: Job}\n    patch: |\n      - {op: remove, path: /spec/backoffLimit}",
			"Job voip-provision: it is another when the components are named the other way round",
		},
		"a tag that no release pushes": {"overlays/production/kustomization.yaml", "newTag: v", "newTag: ", "no release pushes ghcr.io/voip-push/worker:"},
		"a secret that cannot be rotated": {
			"overlays/production/deployment.yaml", "readOnly: true", "readOnly: true\n              subPath: nats.creds", "container worker: nats is mounted by a subPath",
		},
		"a secret in a variable": {
			"components/provision/job.yaml", "          envFrom:", "          env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]\n          envFrom:", "is a secret in a variable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if err := os.CopyFS(filepath.Join(root, "deploy"), os.DirFS(filepath.Join(project, "deploy"))); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(root, "deploy/k8s", tt.file)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(b), tt.old) {
				t.Fatalf("%s does not hold %q", tt.file, tt.old)
			}
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(b), tt.old, tt.with)), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := check.run(root, ""); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestExample: the overlay that the README begins with is sound, of a release, and
// with a namespace throughout.
func TestExample(t *testing.T) {
	t.Parallel()
	objects, text := mustRender(t, mustBlock(t, "README.md"))
	if strings.Contains(text, ":devel") || !strings.Contains(text, "\n  replicas: 3\n") {
		t.Error("want three workers of a release")
	}
	for _, o := range objects {
		if o.GetKind() != "Namespace" && o.GetNamespace() != "voip-push" {
			t.Errorf("%s %s is in the namespace %q", o.GetKind(), o.GetName(), o.GetNamespace())
		}
	}
}

// TestEgressPatch: the patch that the base's README shows adds a rule to those
// that are there.
func TestEgressPatch(t *testing.T) {
	t.Parallel()
	objects, _ := mustRender(t, "resources: [../../base]\n"+mustBlock(t, "base/README.md"))
	for _, o := range objects {
		if o.GetKind() == "NetworkPolicy" {
			if rules, _, err := unstructured.NestedSlice(o.Object, "spec", "egress"); err != nil || len(rules) != 4 {
				t.Errorf("%d rules (%v), want the base's three and one more", len(rules), err)
			}
		}
	}
}

// mustRender renders a kustomization in the place of production's, and checks
// what comes out.
func mustRender(t *testing.T, kustomization string) ([]*unstructured.Unstructured, string) {
	t.Helper()
	c := combination{deploy: filepath.Join(t.TempDir(), "deploy"), overlay: "overlays/production"}
	err := os.CopyFS(c.deploy, os.DirFS(filepath.Join(project, "deploy")))
	if err == nil {
		err = os.WriteFile(filepath.Join(c.deploy, "k8s", c.overlay, "kustomization.yaml"), []byte(kustomization), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	objects, text, err := c.render()
	if err == nil {
		err = mustChecker(t).all(objects)
	}
	if err != nil {
		t.Fatal(err)
	}
	return objects, string(text)
}

// mustBlock is the only piece of YAML in a page of deploy/k8s.
func mustBlock(t *testing.T, page string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(project, "deploy/k8s", page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(b), "```yaml\n")
	block, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatalf("there is no YAML in %s", page)
	}
	return block
}
