// What the objects of others are checked against: the folders of their
// definitions, and no package. `go mod tidy` would take both out again.
module github.com/voip-push/worker/tools/crds

go 1.26.0

require (
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
