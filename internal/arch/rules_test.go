package arch

const modulePath = "github.com/voip-push/worker"

// What tests of several packages share, and those of the three commands. They start brokers and see their insides, so
// nothing that ships may reach them.
const (
	testkit = "internal/testkit"
	clitest = "cmd/internal/clitest"
)

// What the three commands share.
const (
	commandLine = "cmd/internal/cli"
	settings    = "cmd/internal/settings"
)

// mayImport is "Who may import whom" of docs/ARCHITECTURE.md. A package without a row breaks the test: whoever adds
// one decides here, in review, what it may see.
var mayImport = map[string][]string{
	"cmd/worker": {
		"internal/consumer", "internal/avatar", "internal/report", "internal/notifier",
		"internal/broker", "internal/telemetry", "internal/callkit", "internal/service", "internal/voip", commandLine, settings,
	},
	"cmd/publisher": {"internal/broker", "internal/telemetry", "internal/voip", commandLine, settings},
	"cmd/voipctl":   {"internal/broker", "internal/telemetry", "internal/callkit", "internal/voip", commandLine, settings},

	// What the three commands share; it knows none of them, and no stage.
	commandLine: {"internal/broker", "internal/stream", "internal/telemetry", "internal/voip", settings},
	settings:    {"internal/broker", "internal/telemetry", "internal/voip"},
	clitest:     {"internal/broker", "internal/voip", commandLine, testkit},

	// The stages never see one another: each takes a value of voip and returns one.
	"internal/consumer": {"internal/voip", "internal/stream"},
	"internal/avatar":   {"internal/voip"},
	"internal/report":   {"internal/voip"},
	"internal/notifier": {"internal/voip"},
	"internal/broker":   {"internal/voip"},
	"internal/callkit":  {"internal/voip", "internal/service"},

	// How a process shows among NATS micro services; it knows nobody.
	"internal/service": {},

	// How streams are read; it knows nobody.
	"internal/stream": {},

	"internal/telemetry": {},
	"internal/voip":      {},
	"internal/arch":      {},
	testkit:              {"internal/broker", "internal/voip"},

	// Only tests: what is deployed, with the commands that are deployed.
	"deploy": {"internal/voip"},
}

// standardOnly names the packages that see no library either: every word of the wire formats is spelt there, and
// whoever imports it must not inherit a dependency.
var standardOnly = map[string]bool{"internal/voip": true}

// A fence keeps an import, by path prefix, to some places.
type fence struct {
	path string
	// in lists the packages that the rule is about; empty means every package.
	in []string
	// shipped is for what ships at all: cmd and internal but for tests and testkit.
	// production is for what `-tags production` compiles of it.
	shipped, production bool
	why                 string
}

var fences = []fence{
	{
		path: "github.com/rogpeppe/go-internal", shipped: true,
		why: "a library for tests",
	},
	{
		path: "github.com/santhosh-tekuri/jsonschema", shipped: true,
		why: "a library for tests",
	},
	{
		path: "go.yaml.in/yaml", shipped: true,
		why: "a library for tests: settings come from the environment",
	},
	{
		path: "go.opentelemetry.io/proto", shipped: true,
		why: "a library for tests: what ships exports through the SDK",
	},
	{
		path: "github.com/nats-io/nats-server/v2", production: true,
		why: "the production build holds no broker",
	},
	{
		path: modulePath + "/internal/callkit", in: []string{"cmd/worker"}, production: true,
		why: "the production worker holds no Call Kit model",
	},
}

// A call is a function of a package that may not be used, or not everywhere.
type call struct {
	path  string
	names []string
	// allowed says where it may stand after all.
	allowed func(*file) bool
	why     string
}

var calls = []call{
	{
		path: "os", names: []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"},
		allowed: mayReadEnvironment,
		why:     "the environment is read in cmd/ alone",
	},
	{
		path: "syscall", names: []string{"Getenv", "Environ"},
		allowed: mayReadEnvironment,
		why:     "the environment is read in cmd/ alone",
	},
	{
		path: "github.com/kelseyhightower/envconfig", names: []string{"Process", "MustProcess", "CheckDisallowed"},
		allowed: mayReadEnvironment,
		why:     "the environment is read in cmd/ alone",
	},
	{
		path: "log/slog", names: []string{
			"Debug", "DebugContext", "Info", "InfoContext", "Warn", "WarnContext", "Error", "ErrorContext",
			"Log", "LogAttrs", "With", "Default", "SetDefault", "SetLogLoggerLevel",
		},
		allowed: nowhere,
		why:     "the default logger redacts nothing: a logger is passed down",
	},
	{
		path: "time", names: []string{"Sleep"},
		allowed: inVirtualTime,
		why:     "it hears no context, and makes a test slow or flaky: wait for the event, or use a synctest bubble",
	},
}

// mayReadEnvironment also lets tests pass: they hand their own environment on to the processes that they start.
func mayReadEnvironment(f *file) bool { return f.under("cmd") || !f.ships() }

// inVirtualTime goes by the file, since helpers of a bubble stand outside the function that opens it.
func inVirtualTime(f *file) bool { return f.test && f.imports("testing/synctest") }

func nowhere(*file) bool { return false }
