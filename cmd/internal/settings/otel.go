package settings

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// OTel is the part of the standard OTEL_* variables that decides whether there
// are traces, and that a typing error would silently switch off. The SDK reads
// all of them by itself when traces are started: the values here are for
// checking and showing alone.
type OTel struct {
	SDKDisabled                bool    `split_words:"true" default:"false" desc:"No traces, whatever else is set."`
	ExporterOTLPEndpoint       string  `split_words:"true" desc:"The collector, as http://host:4318; /v1/traces is appended. Unset, and the next one too: there are no traces."`
	ExporterOTLPTracesEndpoint string  `split_words:"true" desc:"The same for traces alone, and taken as it stands."`
	ExporterOTLPProtocol       string  `split_words:"true" default:"http/protobuf" desc:"How spans are sent: http/protobuf or http/json; gRPC is not built in."`
	ExporterOTLPTracesProtocol string  `split_words:"true" desc:"The same for traces alone."`
	ExporterOTLPHeaders        string  `split_words:"true" desc:"Headers of each export, as name=value,name=value; never shown."`
	ExporterOTLPTracesHeaders  string  `split_words:"true" desc:"The same for traces alone."`
	TracesExporter             string  `split_words:"true" default:"otlp" oneof:",otlp,none" desc:"none: no traces."`
	TracesSampler              string  `split_words:"true" default:"parentbased_always_on" oneof:",always_on,always_off,traceidratio,parentbased_always_on,parentbased_always_off,parentbased_traceidratio" desc:"Which pushes are traced; the parentbased ones follow what the gateway decided."`
	TracesSamplerArg           float64 `split_words:"true" default:"1" min:"0" max:"1" desc:"The share of the traceidratio ones."`
	ServiceName                string  `split_words:"true" desc:"Unset: voip-worker, voip-publisher."`
	ResourceAttributes         string  `split_words:"true" desc:"What else the spans say of this service, as name=value,name=value."`
}

// On says that traces are wanted.
func (o *OTel) On() bool {
	return !o.SDKDisabled && o.TracesExporter != "none" && (o.ExporterOTLPEndpoint != "" || o.ExporterOTLPTracesEndpoint != "")
}

// Validate finds what no tag can say.
func (o *OTel) Validate() error {
	var errs []error
	for _, v := range []struct{ name, value string }{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", o.ExporterOTLPEndpoint},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", o.ExporterOTLPTracesEndpoint},
	} {
		if u, err := url.Parse(v.value); v.value != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			errs = append(errs, errors.New(v.name+": want http://host:port or https://host:port"))
		}
	}
	for _, v := range []struct{ name, value string }{
		{"OTEL_EXPORTER_OTLP_HEADERS", o.ExporterOTLPHeaders},
		{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", o.ExporterOTLPTracesHeaders},
		{"OTEL_RESOURCE_ATTRIBUTES", o.ResourceAttributes},
	} {
		if n := badPair(v.value); n > 0 {
			errs = append(errs, fmt.Errorf("%s: entry %d is not name=value, percent-encoded", v.name, n)) // which may be a secret
		}
	}
	return errors.Join(append(errs, o.validateProtocol())...)
}

// validateProtocol lets others have gRPC for what this build does not send.
func (o *OTel) validateProtocol() error {
	name, value := "OTEL_EXPORTER_OTLP_PROTOCOL", o.ExporterOTLPProtocol
	if o.ExporterOTLPTracesProtocol != "" {
		name, value = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", o.ExporterOTLPTracesProtocol
	}
	if !o.On() || slices.Contains([]string{"", "http/protobuf", "http/json"}, value) {
		return nil
	}
	return fmt.Errorf("%s: %q is not legal, want http/protobuf or http/json", name, value)
}

// badPair is the number of the first entry of a list that the SDK would leave
// out; 0: none.
func badPair(list string) int {
	if list == "" {
		return 0
	}
	n := 0
	for pair := range strings.SplitSeq(list, ",") {
		n++
		name, value, found := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(value); !found || err != nil || strings.TrimSpace(name) == "" {
			return n
		}
	}
	return 0
}
