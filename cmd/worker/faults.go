package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/voip-push/worker/internal/avatar"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/report"
	"github.com/voip-push/worker/internal/voip"
)

// validate finds what no single setting can say.
func (c *config) validate() error {
	b := c.broker()
	errs := []error{b.Validate(), c.validateReport(), c.OTel.Validate()}
	if _, port, err := net.SplitHostPort(c.HTTP.Addr); err != nil || !legalPort(port) {
		errs = append(errs, fmt.Errorf("HTTP_ADDR: %q is not legal, want host:port or :port", c.HTTP.Addr))
	}
	if len(c.Call.DefaultUserName) > voip.MaxUserNameBytes {
		errs = append(errs, fmt.Errorf("CALL_DEFAULT_USER_NAME: %d bytes are not legal, want at most %d", len(c.Call.DefaultUserName), voip.MaxUserNameBytes))
	}
	if c.Call.AbilityName == "" {
		errs = append(errs, errors.New("CALL_ABILITY_NAME: it is empty, want a name: Call Kit refuses a call without one"))
	}
	errs = append(errs, namesBroker(&b))
	// The stage itself knows what else of its group is legal.
	if _, err := avatar.New(c.avatar(), nil, nil); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c *config) validateReport() error {
	var errs []error
	switch r := &c.Report; r.Transport {
	case "":
		errs = append(errs, errors.New("REPORT_TRANSPORT: it must be given with a broker that is not embedded, want nats or http"+orCallKit))
	case transportCallKit:
		if !hasCallKit {
			errs = append(errs, errors.New("REPORT_TRANSPORT: this build has no Call Kit in process, want nats or http"))
		}
	case transportNATS:
		errs = append(errs, checkSubject("REPORT_SUBJECT", r.Subject))
	case transportHTTP:
		if u, err := url.Parse(r.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			errs = append(errs, errors.New("REPORT_URL: want http://… or https://… without a user, with REPORT_TRANSPORT=http"))
		}
		for _, f := range []struct{ name, path string }{{"REPORT_TOKEN_FILE", r.TokenFile}, {"REPORT_CA_FILE", r.CaFile}} {
			if f.path == "" {
				continue
			}
			// The transport knows what it can use.
			probe := report.HTTPConfig{URL: "http://localhost", Concurrency: 1}
			if f.name == "REPORT_TOKEN_FILE" {
				probe.TokenFile = f.path
			} else {
				probe.CAFile = f.path
			}
			if _, err := report.NewHTTP(probe, slog.New(slog.DiscardHandler)); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", f.name, err))
			}
		}
	}
	if c.Connect.Subject != "" {
		errs = append(errs, checkSubject("CONNECT_SUBJECT", c.Connect.Subject))
	}
	if c.Report.BackoffMax < c.Report.BackoffInitial {
		errs = append(errs, fmt.Errorf("REPORT_BACKOFF_MAX: %s is less than REPORT_BACKOFF_INITIAL (%s)", c.Report.BackoffMax, c.Report.BackoffInitial))
	}
	return errors.Join(errs...)
}

func legalPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// checkSubject says whether a request can be sent to a subject.
func checkSubject(name, subject string) error {
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || strings.ContainsAny(token, " \t\r\n*>") {
			return fmt.Errorf("%s: %q is not legal, want a NATS subject without wildcards, such as voip.callkit.report", name, subject)
		}
	}
	if stream := voip.StreamOf(subject); stream != "" {
		return fmt.Errorf("%s: %q is not legal: stream %s stores what is sent there, and nobody answers", name, subject, stream)
	}
	return nil
}

// advice is what is legal and likely not meant.
func (c *config) advice() []string {
	var a []string
	if c.Report.Transport == transportCallKit && c.NATS.URL != broker.Embedded {
		a = append(a, "REPORT_TRANSPORT=callkit with a real broker: calls are reported to a model in this process, and no device rings")
	}
	if c.NATS.MaxAckPending < c.Consumer.MaxInFlight {
		a = append(a, "NATS_MAX_ACK_PENDING is less than CONSUMER_MAX_IN_FLIGHT: one worker alone can fill it")
	}
	return a
}
