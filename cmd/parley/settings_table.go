package main

import (
	"strings"

	"parley/llm"
	"parley/llm/provider"
)

// A setting is one row of the table of settings: everything that is known of
// it, for whoever reads, checks, prints or documents it.
type setting struct {
	name   string // flag --name, and the key in the YAML file
	group  string // heading in the help
	arg    string // what stands for a value in the help
	def    string // default, as it would be written; parsed like any other value
	shown  string // default as the help shows it, if that is not def
	help   string
	secret bool                     // never shown
	url    bool                     // shown without its password
	hide   func(text string) string // what may be shown of a value, nil for all
	fileOf string                   // this row names a file that holds the value of that setting

	// set parses text into s. Its error continues the sentence `NAME: "text" …`.
	set func(s *settings, text string) error
	// get is the value as text; nil for rows that are only ways to another.
	get func(s *settings) string
}

const envPrefix = "PARLEY_"

// env is the name of the environment variable.
func (r setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(r.name, "-", "_"))
}

func (r setting) flag() string { return "--" + r.name }

// redact returns a value of this setting as it may be shown.
func (r setting) redact(text string) string {
	switch {
	case r.secret && text != "":
		return hidden
	case r.url:
		return redactURL(text)
	case r.hide != nil:
		return r.hide(text)
	}
	return text
}

// defaultShown is the default as the help shows it, empty for none.
func (r setting) defaultShown() string {
	if r.shown != "" {
		return r.shown
	}
	return r.def
}

// The groups of settings, in the order in which the help shows them.
const (
	groupServer  = "Server"
	groupState   = "Where things are kept"
	groupModel   = "Model"
	groupAccess  = "Who may do what"
	groupLimits  = "Limits"
	groupAnswers = "Answers"
)

// settingsTable returns every setting of Parley, once.
func settingsTable() []setting {
	var t []setting
	for _, rows := range [][]setting{serverRows(), stateRows(), modelRows(), accessRows(), limitRows(), answerRows()} {
		t = append(t, rows...)
	}
	return t
}

func serverRows() []setting {
	return inGroup(groupServer, []setting{
		text("addr", "host:port", "127.0.0.1:8080", "Address that people connect to; :8080 is every interface.",
			func(s *settings) *string { return &s.Addr }, hostPort),
		text("ops-addr", "host:port", "", "Address of /metrics and profiling, best on loopback; empty means none.",
			func(s *settings) *string { return &s.OpsAddr }, optional(hostPort)),
		text("config", "file", "", "YAML file with settings, its keys being the names of these flags.",
			func(s *settings) *string { return &s.Config }, anyText),
		logRow(),
	})
}

func stateRows() []setting {
	data := text("data", "folder", "", "Folder of the embedded store and of the administrator's token.",
		func(s *settings) *string { return &s.Data }, absolute)
	data.shown = "the user's data folder, ~/.local/share/parley on Linux"
	store := text("store", "path|url", "", "Conversations, tools and documents: path of a SQLite file, postgres://… URL, or :memory: for a try.",
		func(s *settings) *string { return &s.Store }, storePath)
	store.shown = "parley.db in the data folder"
	redis := text("redis", "url", "", "Redis that all replicas share: redis://…, rediss://… with TLS, unix:///path, redis+sentinel://host,host/NAME or redis+cluster://host,host; empty means one inside the process.",
		func(s *settings) *string { return &s.Redis }, optional(redisURL))
	store.url, redis.url = true, true
	key := secretRow("secret-key", "Key under which the store's secrets are encrypted, the same for all its servers: 32 bytes in base64, or a passphrase; new,old to change it.",
		func(s *settings) *secret { return &s.SecretKey }, secretKeys)
	key.shown = "made at the first start, as secret.key in the data folder"
	return inGroup(groupState, []setting{data, store, key, fileRow(key, "File that holds the secret key."), redis})
}

func modelRows() []setting {
	model := text("model", "name", "", "Model that answers, as its server calls it.",
		func(s *settings) *string { return &s.Model }, oneLine)
	model.shown = "the built-in demo"
	names := append(append([]string{"auto"}, provider.Names()...), "demo")
	which := text("model-provider", strings.Join(names, "|"), "auto",
		"Protocol of the model's server; openai is chat completions and all that is compatible, auto goes by the address.",
		func(s *settings) *string { return &s.ModelProvider }, oneOf(names...))
	addr := text("model-url", "url", "", "Base URL of the model's server.",
		func(s *settings) *string { return &s.ModelURL }, optional(modelURL))
	addr.shown, addr.url = "the provider's own, such as https://api.openai.com/v1", true
	key := secretRow("model-key", "Key for the model's server; better given by environment or file.",
		func(s *settings) *secret { return &s.ModelKey }, keyText)
	return inGroup(groupModel, []setting{
		model, which, addr, key, fileRow(key, "File that holds the model key."), fallbackRow(),
		text("model-reasoning", "off|low|medium|high", "", "How much the model thinks before it answers, for models that can; empty leaves it to the provider.",
			func(s *settings) *string { return &s.ModelReasoning }, optional(oneOf("off", "low", "medium", "high"))),
		number("model-max-tokens", "n", "0", "Longest that the model may write in one turn; 0 leaves it to the provider (8192 for anthropic).", 0, 1<<20,
			func(s *settings) *int { return &s.ModelMaxTokens }),
		inputRow(),
		list("model-continues", "model,…", "Models, by name, that go on with an answer whose beginning they are given as the last message: after a failure the answer goes on where it broke off. Of Ollama those whose template does it, of the others vLLM and what is like it. Mistral, Anthropic's models up to 4.5 and the demo model are known.",
			func(s *settings) *[]string { return &s.ModelContinues }, oneLine),
		number("model-images", "n", "20", "Images that the model is shown in one request, the latest ones; older ones are named.", 1, 1000,
			func(s *settings) *int { return &s.ModelImages }),
		number("model-image-side", "pixels", "1568", "Longest side of an image that the model is shown; larger ones are made smaller.", 64, 8192,
			func(s *settings) *int { return &s.ModelImageSide }),
		number("model-file-bytes", "bytes", "16777216", "Bytes of images, sound and PDFs in one request to the model; older ones are named.", 1024, 256<<20,
			func(s *settings) *int { return &s.ModelFileBytes }),
		number("model-file-text", "bytes", "262144", "Longest text file that the model reads, of all together twice that; others are named.", 0, 16<<20,
			func(s *settings) *int { return &s.ModelFileText }),
		number("model-window", "n", "0", "Tokens that the model reads at once, its answer included; longer conversations are shortened to fit. 0 goes by the model's name, 32000 for one that is not known.", 0, 1<<24,
			func(s *settings) *int { return &s.ModelWindow }),
		smallRow(),
		text("titles", "true|false", "true", "Whether the model gives conversations their titles, after the first answer.",
			func(s *settings) *string { return &s.Titles }, oneOf("true", "false")),
		text("suggestions", "true|false", "false", "Whether the model suggests what could be asked next, after each answer.",
			func(s *settings) *string { return &s.Suggestions }, oneOf("true", "false")),
		pricesRow(),
		text("system-prompt", "text", "", "Instructions that the model is given before every conversation.",
			func(s *settings) *string { return &s.SystemPrompt }, anyText),
	})
}

func accessRows() []setting {
	token := secretRow("admin-token", "Token for managing tools and documents; better given by environment or file.",
		func(s *settings) *secret { return &s.AdminToken }, tokenText)
	token.shown = "made and printed at the first start"
	cookies := text("secure-cookies", "auto|true|false", "auto", "Whether cookies are for HTTPS only; auto goes by each request.",
		func(s *settings) *string { return &s.SecureCookies }, oneOf("auto", "true", "false"))
	return inGroup(groupAccess, []setting{
		token, fileRow(token, "File that holds the administrator's token."),
		text("public-url", "url", "", "Address by which people reach this server, for services that send them back here; empty: as each request says.",
			func(s *settings) *string { return &s.PublicURL }, optional(origin)),
		list("origins", "origin,…", "Further origins whose pages may connect, such as https://shop.example.",
			func(s *settings) *[]string { return &s.Origins }, origin),
		list("hosts", "host,…", "Further host names by which this server is called.",
			func(s *settings) *[]string { return &s.Hosts }, hostName),
		proxiesRow(), cookies,
		list("egress-allow", "host:port,…", "Private addresses that tools may call; public ones need no entry.",
			func(s *settings) *[]string { return &s.EgressAllow }, allowance),
		text("mcp-stdio", "file", "", "JSON file of MCP servers to run as processes: {\"mcpServers\": {\"name\": {\"command\", \"args\", \"env\"}}}.",
			func(s *settings) *string { return &s.MCPStdio }, optional(absolute)),
	})
}

func limitRows() []setting {
	return inGroup(groupLimits, []setting{
		number("max-message", "bytes", "32768", "Longest message of a person.", 1, 1<<20, func(s *settings) *int { return &s.MaxMessage }),
		number("max-frame", "bytes", "65536", "Longest WebSocket frame of a client; must have room for a message.", 1024, 4<<20, func(s *settings) *int { return &s.MaxFrame }),
		number("max-connections", "n", "20000", "WebSocket and SSE connections of this replica.", 1, 10_000_000, func(s *settings) *int { return &s.MaxConnections }),
		number("max-connections-per-person", "n", "32", "Connections of one person to this replica.", 1, 1_000_000, func(s *settings) *int { return &s.MaxConnectionsPerPerson }),
		number("connections-per-second", "n", "500", "New connections to this replica a second; the rest is told when to come again.", 1, 1_000_000, func(s *settings) *int { return &s.ConnectionsPerSecond }),
		number("connections-burst", "n", "1000", "New connections to this replica at once.", 1, 10_000_000, func(s *settings) *int { return &s.ConnectionsBurst }),
		number("max-follows", "n", "64", "Conversations that one connection may follow.", 1, 10_000, func(s *settings) *int { return &s.MaxFollows }),
		number("commands-per-second", "n", "20", "Commands of one connection a second, on average.", 1, 10_000, func(s *settings) *int { return &s.CommandsPerSecond }),
		number("commands-burst", "n", "40", "Commands of one connection at once.", 1, 100_000, func(s *settings) *int { return &s.CommandsBurst }),
		number("messages-per-minute", "n", "30", "Messages of one person a minute.", 1, 100_000, func(s *settings) *int { return &s.MessagesPerMinute }),
		number("messages-per-address", "n", "300", "Messages of all guests of one address a minute.", 1, 1_000_000, func(s *settings) *int { return &s.MessagesPerAddress }),
		number("queued", "n", "16", "Questions of a conversation that may wait for an answer.", 1, 1000, func(s *settings) *int { return &s.Queued }),
		number("max-document", "bytes", "16777216", "Largest document that is taken in.", 1024, 1<<30, func(s *settings) *int { return &s.MaxDocument }),
		number("document-pages", "n", "2000", "Pages that a PDF may have that is taken in as a document.", 1, 100_000, func(s *settings) *int { return &s.DocumentPages }),
		period("document-time", "30s", "Longest that reading a PDF may take that is taken in as a document.", "1s", "10m", func(s *settings) *duration { return &s.DocumentTime }),
		number("max-openapi", "bytes", "16777216", "Largest OpenAPI document that tools are imported from.", 1024, 1<<30, func(s *settings) *int { return &s.MaxOpenAPI }),
		number("tool-cache", "bytes", "67108864", "Answers of tools that are kept in Redis, all together; 0 keeps none.", 0, 1<<40, func(s *settings) *int { return &s.ToolCache }),
		number("tool-cache-entry", "bytes", "262144", "Largest answer of a tool that is kept.", 1024, 4<<20, func(s *settings) *int { return &s.ToolCacheEntry }),
		period("import-time", "30s", "Longest that fetching and reading an OpenAPI document may take.", "1s", "10m", func(s *settings) *duration { return &s.ImportTime }),
		number("max-file", "bytes", "20971520", "Largest file that is attached or that a tool brings back.", 1024, 1<<30, func(s *settings) *int { return &s.MaxFile }),
		fileBytesRow(),
		number("files-per-person", "n", "1000", "Files of one person.", 1, 10_000_000, func(s *settings) *int { return &s.FilesPerPerson }),
		number("files-per-message", "n", "10", "Files of one message.", 1, 100, func(s *settings) *int { return &s.FilesPerMessage }),
		period("file-orphans", "24h", "How long an uploaded file is kept that no message has.", "1m", "8760h", func(s *settings) *duration { return &s.FileOrphans }),
		number("usage-days", "n", "400", "Days for which it is kept what people have spent on each.", 2, 36_500, func(s *settings) *int { return &s.UsageDays }),
		number("max-result-tokens", "n", "8000", "Tokens of a tool's result, about, where the tool does not say itself; longer ones are cut.", 100, 200_000, func(s *settings) *int { return &s.MaxResultTokens }),
		period("wait-max", "120s", "Longest that a request may wait for an answer.", "1s", "1h", func(s *settings) *duration { return &s.WaitMax }),
		number("feeds", "n", "32", "WebSocket feeds that may be registered.", 1, 1000, func(s *settings) *int { return &s.Feeds }),
		number("feed-values", "n", "100", "Values that are kept of one feed.", 1, 10_000, func(s *settings) *int { return &s.FeedValues }),
		number("feed-bytes", "bytes", "65536", "Bytes of the values that are kept of one feed; one value may have an eighth of it.", 1024, 4<<20, func(s *settings) *int { return &s.FeedBytes }),
		number("feed-message", "bytes", "262144", "Longest message of a feed.", 1024, 16<<20, func(s *settings) *int { return &s.FeedMessage }),
		number("feed-rate", "n", "50", "Messages a second of one feed that are looked at, the newest ones.", 1, 10_000, func(s *settings) *int { return &s.FeedRate }),
		number("pins", "n", "4", "Feeds that one conversation may have pinned.", 1, 64, func(s *settings) *int { return &s.Pins }),
		memoryRow(),
	})
}

func answerRows() []setting {
	return inGroup(groupAnswers, []setting{
		number("answers", "n", "256", "Answers that this replica writes at once; the rest wait.", 1, 100_000, func(s *settings) *int { return &s.Answers }),
		number("answers-per-person", "n", "3", "Answers that one person gets at once, on all replicas; 0 is any number, which the administrator always has.", 0, 100_000, func(s *settings) *int { return &s.PerPerson }),
		number("answers-per-tenant", "n", "0", "Answers that the people of one tenant get at once, on all replicas; 0 is any number. An API key says which tenant it is for.", 0, 1_000_000, func(s *settings) *int { return &s.PerTenant }),
		period("approval-time", "24h", "How long people are waited for when a tool call needs them.", "1s", "8760h", func(s *settings) *duration { return &s.ApprovalTime }),
		period("max-run", "10m", "Longest that one answer may take.", "1s", "24h", func(s *settings) *duration { return &s.MaxRun }),
		number("max-turns", "n", "12", "Turns of the model in one answer.", 1, 1000, func(s *settings) *int { return &s.MaxTurns }),
		number("parallel-tools", "n", "8", "Tool calls of one answer at the same time.", 1, 256, func(s *settings) *int { return &s.ParallelTools }),
		number("tools-offered", "n", "40", "Tools that a model is offered, those that fit the question best; it finds the others by searching. 0 offers all.", 0, 2000, func(s *settings) *int { return &s.ToolsOffered }),
		budget("budget-run", "What one answer may cost: tokens, dollars, or both, such as 200000,$0.50; empty is any amount.", func(s *settings) *llm.Amount { return &s.BudgetRun }),
		budget("budget-conversation", "What one conversation may cost, as budget-run.", func(s *settings) *llm.Amount { return &s.BudgetConversation }),
		budget("budget-person", "What one person may spend in a day, which ends at 00:00 UTC, as budget-run. The administrator may spend any amount.", func(s *settings) *llm.Amount { return &s.BudgetPerson }),
		budget("budget-tenant", "What the people of one tenant may spend in a day, all together.", func(s *settings) *llm.Amount { return &s.BudgetTenant }),
		budget("budget-day", "What everybody may spend in a day, all together.", func(s *settings) *llm.Amount { return &s.BudgetDay }),
		period("gather", "33ms", "How long pieces of answers are gathered before they go out together.", "1ms", "1s", func(s *settings) *duration { return &s.Gather }),
		period("lease", "2s", "How long a silent replica keeps its conversations before others take over.", "500ms", "1m", func(s *settings) *duration { return &s.Lease }),
		period("drain", "25s", "Longest that a replica takes to hand everything over when it is stopped.", "1s", "10m", func(s *settings) *duration { return &s.Drain }),
	})
}

func inGroup(group string, rows []setting) []setting {
	for i := range rows {
		rows[i].group = group
	}
	return rows
}
