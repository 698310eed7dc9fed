package main

import (
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"time"

	"github.com/voip-push/worker/cmd/internal/settings"
	"github.com/voip-push/worker/internal/avatar"
	"github.com/voip-push/worker/internal/broker"
	"github.com/voip-push/worker/internal/consumer"
	"github.com/voip-push/worker/internal/report"
	"github.com/voip-push/worker/internal/voip"
)

//go:generate go test . -run TestConfigurationPage|TestMetricsPage -update

// config is every setting of a worker, by group. The names of the groups and
// of their fields spell the variables: NATS.TLSCaFile is NATS_TLS_CA_FILE.
type config struct {
	NATS     settings.NATS
	Consumer consumerGroup
	Call     callGroup
	Avatar   avatarGroup
	Report   reportGroup
	Connect  connectGroup
	HTTP     httpGroup
	Log      settings.Log
	OTel     settings.OTel
}

type consumerGroup struct {
	MaxInFlight  int           `split_words:"true" default:"1024" min:"1" max:"65536" desc:"Calls that one worker holds, those that wait for a retry included; fewer when they weigh more than a seventh of GOMEMLIMIT together."`
	AckWait      time.Duration `split_words:"true" default:"5s" min:"1s" max:"5m" desc:"How long after a worker's death its calls are delivered again. Calls that a worker holds are marked every third of it."`
	MaxStarts    int           `split_words:"true" default:"3" min:"1" max:"100" desc:"How often a push is begun alone, its worker dying each time, before it is a CRASH_LOOP."`
	DrainTimeout time.Duration `split_words:"true" default:"20s" min:"1s" max:"10m" desc:"How long a stopping worker finishes what it has started."`
}

type callGroup struct {
	TTL             time.Duration `split_words:"true" default:"60s" min:"1s" max:"300s" desc:"The life of a call whose push does not say ttlSeconds, from the broker's timestamp of the push on."`
	Claim           string        `split_words:"true" default:"always" oneof:"always,msgid" desc:"How duplicates are told: always claims each call in the bucket VOIP_CALLS; msgid trusts the broker's duplicate window for pushes whose Nats-Msg-Id is their callId (faster; for fleets whose every gateway sets it)."`
	DefaultUserName string        `split_words:"true" default:"Unknown" desc:"Shown for a push without a userName. Set empty, such a push is INVALID_ATTRIBUTE."`
	AbilityName     string        `split_words:"true" default:"EntryAbility" desc:"The ability that is loaded on answer, for a push that does not say abilityName."`
}

type avatarGroup struct {
	Policy         string        `split_words:"true" default:"fit" oneof:"fit,strict" desc:"fit: what decodes within the guards is rendered, a bad avatar is replaced by the default picture. strict: a bad one, or a source over AVATAR_MAX_BYTES, fails the call."`
	MaxBytes       settings.Size `split_words:"true" default:"100KiB" min:"1" desc:"Size of a source beyond which it is over the limit."`
	MaxSourceBytes settings.Size `split_words:"true" default:"5MiB" min:"1" max:"64MiB" desc:"What of a source is read at most."`
	Timeout        time.Duration `split_words:"true" default:"1s" min:"10ms" max:"30s" desc:"Everything about an avatar together."`
	Density        float64       `split_words:"true" default:"3.5" min:"0.5" max:"4" desc:"Pixels per vp for a push that does not say density; the picture is 32vp square."`
	ResourceDir    string        `split_words:"true" desc:"Folder of the resource:NAME avatars."`
	Default        string        `split_words:"true" desc:"The default picture, as resource:NAME; without it a built-in one."`
	AllowedHosts   []string      `split_words:"true" desc:"Hosts that avatars may come from, exactly or by suffix (.example.com); empty: any public host."`
	AllowPrivate   bool          `split_words:"true" default:"false" desc:"Allow private addresses, address literals and any port."`
	AllowHTTP      bool          `split_words:"true" default:"false" desc:"Allow http:// beside https://."`
	CacheBytes     settings.Size `split_words:"true" default:"64MiB" desc:"Memory for rendered avatars; 0: none are kept."`
	CacheTTL       time.Duration `split_words:"true" default:"10m" min:"1s" max:"24h" desc:"How long a rendered avatar is fresh when its server does not say."`
}

type reportGroup struct {
	Transport      string        `split_words:"true" oneof:",callkit,nats,http" desc:"How Call Kit's side is reached: callkit (a model of it in this process, for development), nats or http. Unset: callkit with the embedded broker; with any other it must be given."`
	Subject        string        `split_words:"true" default:"voip.callkit.report" desc:"Subject of the requests, with nats."`
	URL            string        `split_words:"true" desc:"Where requests are posted, with http."`
	TokenFile      string        `split_words:"true" desc:"File with the bearer token, with http; read again when it changes."`
	CaFile         string        `split_words:"true" desc:"File with the authorities that the bridge's certificate is checked against, with http; without it the system's."`
	Timeout        time.Duration `split_words:"true" default:"3s" min:"10ms" max:"60s" desc:"One attempt."`
	Concurrency    int           `split_words:"true" default:"256" min:"1" max:"65536" desc:"Attempts under way at once."`
	MaxAttempts    int           `split_words:"true" default:"5" min:"1" max:"100" desc:"Answers after which a call that the device has no room for is given up."`
	BackoffInitial time.Duration `split_words:"true" default:"250ms" min:"1ms" max:"1m" desc:"Wait before the first retry; it grows from there, with jitter."`
	BackoffMax     time.Duration `split_words:"true" default:"5s" min:"1ms" max:"5m" desc:"Longest wait between two attempts."`
}

type connectGroup struct {
	Subject string `split_words:"true" desc:"Subject of the connection step, which is asked before a call is reported; empty: there is none."`
}

type httpGroup struct {
	Addr string `split_words:"true" default:"127.0.0.1:8080" desc:"Where /livez, /readyz and /metrics are served; port 0: any free one, named in the log."`
}

// loadConfig reads and checks the environment. Its error joins every fault;
// the settings at fault have their defaults.
func loadConfig() (*config, []string, error) {
	var c config
	warnings, err := settings.Load(&c)
	c.fill()
	return &c, append(warnings, c.advice()...), errors.Join(err, others(err, c.validate()))
}

// others leaves out of more what is about the variables of faults: each fault
// is said once.
func others(faults, more error) error {
	if faults == nil || more == nil {
		return more
	}
	said := map[string]bool{}
	for line := range strings.Lines(faults.Error()) {
		said[variableOf(line)] = true
	}
	var errs []error
	for line := range strings.SplitSeq(more.Error(), "\n") {
		if !said[variableOf(line)] {
			errs = append(errs, errors.New(line))
		}
	}
	return errors.Join(errs...)
}

// variableOf is what a fault's line begins with.
func variableOf(line string) string { return line[:max(0, strings.IndexAny(line, ": "))] }

// fill sets what depends on other settings.
func (c *config) fill() {
	if c.NATS.URL != broker.Embedded {
		if c.NATS.Provision == "" {
			c.NATS.Provision = "false"
		}
		return
	}
	if c.NATS.Provision == "" {
		c.NATS.Provision = "true"
	}
	if c.Report.Transport == "" {
		c.Report.Transport = transportCallKit
	}
}

// The values of REPORT_TRANSPORT.
const (
	transportCallKit = "callkit"
	transportNATS    = "nats"
	transportHTTP    = "http"
)

func (c *config) broker() broker.Config {
	b := c.NATS.Broker()
	b.AckWait = c.Consumer.AckWait
	return b
}

func (c *config) provision() bool { return c.NATS.Provision == "true" }

func (c *config) avatar() avatar.Config {
	return avatar.Config{
		Policy: avatar.Policy(c.Avatar.Policy), MaxBytes: int64(c.Avatar.MaxBytes), MaxSourceBytes: int64(c.Avatar.MaxSourceBytes),
		Timeout: c.Avatar.Timeout, ResourceDir: c.Avatar.ResourceDir, Default: c.Avatar.Default,
		AllowedHosts: c.Avatar.AllowedHosts, AllowPrivate: c.Avatar.AllowPrivate, AllowHTTP: c.Avatar.AllowHTTP,
		CacheBytes: int64(c.Avatar.CacheBytes), CacheTTL: c.Avatar.CacheTTL,
	}
}

func (c *config) report() report.Config {
	return report.Config{
		Timeout: c.Report.Timeout, Concurrency: c.Report.Concurrency, MaxAttempts: c.Report.MaxAttempts,
		BackoffInitial: c.Report.BackoffInitial, BackoffMax: c.Report.BackoffMax,
	}
}

func (c *config) consumer(worker string, ackWait func() time.Duration) consumer.Config {
	return consumer.Config{
		MaxInFlight: c.Consumer.MaxInFlight, MaxHeldBytes: maxHeldBytes(), AckWait: ackWait, MaxStarts: c.Consumer.MaxStarts,
		DrainTimeout: c.Consumer.DrainTimeout, Claim: consumer.ClaimMode(c.Call.Claim), Worker: worker,
	}
}

// maxHeldBytes leaves the pushes that are held a seventh of the memory limit
// (GOMEMLIMIT), which they take twice, beside their data; without one, anything.
func maxHeldBytes() int {
	const share = 7
	limit := debug.SetMemoryLimit(-1) // asks
	if limit == math.MaxInt64 {
		return 0
	}
	return int(limit / share)
}

func (c *config) defaults() voip.Defaults {
	return voip.Defaults{
		UserName: c.Call.DefaultUserName, AbilityName: c.Call.AbilityName, Density: c.Avatar.Density, TTL: c.Call.TTL,
	}
}

func healthAddr() (string, error) {
	var c struct{ HTTP httpGroup }
	_, err := settings.Load(&c)
	return c.HTTP.Addr, err
}
