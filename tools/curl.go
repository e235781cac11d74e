package tools

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxCurl is how many bytes a curl command may have.
const MaxCurl = 256 << 10

// DraftCurl makes a draft of an endpoint from a curl command as documentation
// and browsers give it. It runs nothing and opens no file.
//
// What looks like an id in the path, the query's members and those of the body
// become parameters, with the command's values as examples; credentials become
// secret headers or queries, with the values that they have in the command.
// The draft is for a person to look at: warnings say what could not be taken
// over and what is missing. The error is a [*FieldError] of the field curl.
func DraftCurl(command string) (draft Endpoint, warnings []string, err error) {
	if len(command) > MaxCurl || !utf8.ValidString(command) {
		return Endpoint{}, nil, faultf("curl", "must be text of at most %d bytes", MaxCurl)
	}
	words, more, err := shellWords(command)
	if err != nil {
		return Endpoint{}, nil, faultf("curl", "%v", err)
	}
	for len(words) > 0 && (words[0] == "$" || words[0] == "%" || words[0] == ">") { // the shell's prompt
		words = words[1:]
	}
	if len(words) == 0 || !isCurl(words[0]) {
		return Endpoint{}, nil, faultf("curl", "must be a command that begins with curl, such as curl https://api.example.com/orders/7")
	}
	c := &curl{flags: curlFlags(), letters: curlLetters()}
	if more {
		c.warn("what follows the command was left out")
	}
	c.read(words[1:])
	if c.url == "" {
		return Endpoint{}, nil, faultf("curl", "has no address: add the URL that it calls")
	}
	e, err := c.draft()
	return e, c.warnings, err
}

func isCurl(word string) bool {
	name := word[strings.LastIndexAny(word, `/\`)+1:]
	return strings.EqualFold(name, "curl") || strings.EqualFold(name, "curl.exe")
}

// A curl is what a command says.
type curl struct {
	flags   map[string]curlFlag
	letters map[rune]string

	method   string
	url      string
	query    []string // besides the address's own
	headers  [][2]string
	data     []curlData
	form     [][2]string
	user     string
	cookies  []string
	json     bool // --json
	get      bool // -G
	timeout  float64
	warnings []string
}

// A curlData is one piece of a body.
type curlData struct {
	name, value string // of --data-urlencode; else value alone
	encoded     bool   // to be encoded: it is no text of a form yet
	file        bool   // value is a file's name
}

func (c *curl) warn(text string) {
	text = plainVars(text)
	if !slices.Contains(c.warnings, text) {
		c.warnings = append(c.warnings, text)
	}
}

// read takes in the words behind curl.
func (c *curl) read(words []string) {
	flagsEnd := false
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		switch {
		case word == "--" && !flagsEnd:
			flagsEnd = true
		case !flagsEnd && strings.HasPrefix(word, "--"):
			words = c.long(word[2:], words)
		case !flagsEnd && len(word) > 1 && word[0] == '-':
			words = c.short(word[1:], words)
		default:
			c.address(word)
		}
	}
}

// long reads a flag by its name and returns what is left of words.
func (c *curl) long(name string, words []string) []string {
	name, value, given := strings.Cut(name, "=")
	f, ok := c.flags[name]
	switch {
	case !ok:
		c.warn("the flag --" + oneLine(name, 40) + " is not known and was left out")
	case f.argument && !given && len(words) == 0:
		c.warn("the flag --" + name + " has no value")
	case f.argument && !given:
		f.take(c, name, words[0])
		return words[1:]
	default:
		f.take(c, name, value)
	}
	return words
}

// short reads flags of one letter, several of which may share a word.
func (c *curl) short(letters string, words []string) []string {
	for i, r := range letters {
		name := c.letters[r]
		f, ok := c.flags[name]
		rest := letters[i+utf8.RuneLen(r):]
		switch {
		case !ok:
			c.warn("the flag -" + string(r) + " is not known and was left out")
		case f.argument && rest != "":
			f.take(c, name, rest)
			return words
		case f.argument:
			return c.long(name, words)
		default:
			f.take(c, name, "")
		}
	}
	return words
}

func (c *curl) address(word string) {
	if c.url != "" {
		c.warn("only one address is called: " + oneLine(word, 80) + " was left out")
		return
	}
	c.url = word
}

// A curlFlag is what a flag of curl's means.
type curlFlag struct {
	argument bool
	take     func(c *curl, name, value string)
}

// curlLetters are the names of flags that have a letter.
func curlLetters() map[rune]string {
	return map[rune]string{
		'X': "request", 'H': "header", 'd': "data", 'F': "form", 'u': "user", 'b': "cookie", 'G': "get", 'A': "user-agent", 'I': "head",
		'e': "referer", 'm': "max-time", 'k': "insecure", 'T': "upload-file", 's': "silent", 'S': "show-error", 'L': "location", 'v': "verbose",
		'i': "include", 'f': "fail", 'g': "globoff", 'N': "no-buffer", '#': "progress-bar", '0': "http1.0", '4': "ipv4", '6': "ipv6", 'q': "disable",
		'O': "remote-name", 'J': "remote-header-name", 'o': "output", 'w': "write-out", 'x': "proxy", 'E': "cert", 'c': "cookie-jar", 'r': "range",
		'K': "config", 'D': "dump-header", 'U': "proxy-user", 'z': "time-cond", 'y': "speed-time", 'Y': "speed-limit", 'C': "continue-at", 'n': "netrc", 'R': "remote-time",
	}
}

// curlFlags are the flags that are understood, and those that say nothing
// about the request.
func curlFlags() map[string]curlFlag {
	data := func(file bool) func(*curl, string, string) {
		return func(c *curl, _, v string) {
			name, isFile := strings.CutPrefix(v, "@")
			if file && isFile {
				c.data = append(c.data, curlData{value: name, file: true})
				return
			}
			c.data = append(c.data, curlData{value: v})
		}
	}
	flags := map[string]curlFlag{
		"url":           {true, func(c *curl, _, v string) { c.address(v) }},
		"request":       {true, func(c *curl, _, v string) { c.method = strings.ToUpper(v) }},
		"header":        {true, (*curl).header},
		"data":          {true, data(true)},
		"data-ascii":    {true, data(true)},
		"data-binary":   {true, data(true)},
		"data-raw":      {true, data(false)},
		"json":          {true, func(c *curl, n, v string) { c.json = true; data(true)(c, n, v) }},
		"url-query":     {true, func(c *curl, _, v string) { c.urlQuery(v) }},
		"form":          {true, (*curl).part},
		"form-string":   {true, (*curl).part},
		"user":          {true, func(c *curl, _, v string) { c.user = v }},
		"oauth2-bearer": {true, func(c *curl, n, v string) { c.header(n, "Authorization: Bearer "+v) }},
		"cookie":        {true, (*curl).cookie},
		"user-agent":    {true, func(c *curl, n, v string) { c.header(n, "User-Agent: "+v) }},
		"referer":       {true, func(c *curl, n, v string) { c.header(n, "Referer: "+v) }},
		"get":           {false, func(c *curl, _, _ string) { c.get = true }},
		"head":          {false, func(c *curl, _, _ string) { c.method = cmp.Or(c.method, "HEAD") }},
		"max-time":      {true, (*curl).maxTime},
		"insecure":      {false, func(c *curl, _, _ string) { c.warn("-k was left out: certificates are always checked") }},
		"data-urlencode": {true, func(c *curl, _, v string) {
			c.data = append(c.data, urlencoded(v))
		}},
	}
	for _, name := range strings.Fields(`silent show-error location location-trusted verbose include fail fail-with-body fail-early globoff no-buffer
		progress-bar no-progress-meter http1.0 http1.1 http2 http2-prior-knowledge http3 ipv4 ipv6 disable remote-name remote-header-name remote-time compressed
		path-as-is tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 ssl-reqd ssl-no-revoke basic anyauth parallel no-keepalive tcp-nodelay tcp-fastopen raw create-dirs`) {
		flags[name] = curlFlag{false, func(*curl, string, string) {}}
	}
	for _, name := range strings.Fields("output write-out connect-timeout cookie-jar retry retry-delay retry-max-time dump-header limit-rate keepalive-time max-redirs speed-time speed-limit trace trace-ascii stderr") {
		flags[name] = curlFlag{true, func(*curl, string, string) {}}
	}
	leftOut := func(c *curl, name, _ string) {
		c.warn("--" + name + " was left out: tools cannot do that")
	}
	for _, name := range strings.Fields("digest ntlm negotiate netrc retry-all-errors next") {
		flags[name] = curlFlag{false, leftOut}
	}
	for _, name := range strings.Fields(`upload-file proxy proxy-user cert key cacert capath cert-type key-type pass ciphers config range resolve connect-to interface
		aws-sigv4 time-cond continue-at unix-socket dns-servers doh-url request-target max-filesize variable`) {
		flags[name] = curlFlag{true, leftOut}
	}
	return flags
}

// header takes a line as it stands behind -H. One without a value takes a
// header of curl's own away, which tools do not have.
func (c *curl) header(_, line string) {
	name, value, ok := strings.Cut(line, ":")
	if name, value = strings.TrimSpace(name), strings.TrimSpace(value); ok && name != "" && value != "" {
		c.headers = append(c.headers, [2]string{name, value})
		return
	}
	switch {
	case strings.HasPrefix(line, "@"):
		c.warn("headers from a file were left out")
	case !ok && !strings.HasSuffix(line, ";"):
		c.warn("the header " + oneLine(line, 40) + " has no value and was left out")
	}
}

func (c *curl) cookie(_, v string) {
	if !strings.Contains(v, "=") {
		c.warn("cookies from a file were left out")
		return
	}
	c.cookies = append(c.cookies, v)
}

func (c *curl) part(flag, v string) {
	name, value, ok := strings.Cut(v, "=")
	if !ok || name == "" {
		c.warn("-F " + oneLine(v, 40) + " is not name=value and was left out")
		return
	}
	if flag == "form" && strings.HasPrefix(value, "@") || strings.HasPrefix(value, "<") {
		c.warn("the part " + oneLine(name, 40) + " is a file: the tool sends the text that it is given")
		value = ""
	}
	value, _, _ = strings.Cut(value, ";type=")
	c.form = append(c.form, [2]string{name, value})
}

func (c *curl) maxTime(_, v string) {
	if seconds, err := strconv.ParseFloat(v, 64); err == nil && seconds > 0 {
		c.timeout = seconds
	}
}

// urlQuery takes what --url-query adds to the address.
func (c *curl) urlQuery(v string) {
	d := urlencoded(v)
	if d.file {
		c.warn("a part of the query from a file was left out")
		return
	}
	if plain, ok := strings.CutPrefix(v, "+"); ok {
		d = curlData{value: plain}
	}
	c.query = append(c.query, d.text())
}

// urlencoded reads what --data-urlencode takes: content, =content,
// name=content, @file or name@file.
func urlencoded(v string) curlData {
	at := strings.IndexAny(v, "=@")
	if at < 0 {
		return curlData{value: v, encoded: true}
	}
	return curlData{name: v[:at], value: v[at+1:], encoded: true, file: v[at] == '@'}
}

// text is a piece as a text of a form.
func (d curlData) text() string {
	if !d.encoded {
		return d.value
	}
	value := escapeVars(d.value)
	if d.name == "" {
		return value
	}
	return d.name + "=" + value
}

// escapeVars escapes a text for a query, but for the shell's variables in it.
func escapeVars(s string) string {
	marks := strings.NewReplacer(url.QueryEscape(string(varBegin)), string(varBegin), url.QueryEscape(string(varEnd)), string(varEnd))
	return marks.Replace(url.QueryEscape(s))
}

// basic returns what -u puts into the header Authorization.
func basic(user string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user))
}
