package deploy_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dockerfile is deploy/Dockerfile as far as these tests ask: its instructions
// in order, each on one line.
type dockerfile []instruction

type instruction struct{ name, rest string }

func parseDockerfile(t *testing.T) dockerfile {
	t.Helper()
	var d dockerfile
	var open string
	for line := range strings.Lines(read(t, "deploy/Dockerfile")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if before, more := strings.CutSuffix(line, `\`); more {
			open += before
			continue
		}
		name, rest, _ := strings.Cut(open+line, " ")
		d, open = append(d, instruction{strings.ToUpper(name), strings.TrimSpace(rest)}), ""
	}
	return d
}

// last returns the stage that becomes the image.
func (d dockerfile) last() dockerfile {
	for i := len(d) - 1; i >= 0; i-- {
		if d[i].name == "FROM" {
			return d[i:]
		}
	}
	return d
}

// text returns what stands behind all instructions of the name.
func (d dockerfile) text(name string) string {
	var all []string
	for _, i := range d {
		if i.name == name {
			all = append(all, i.rest)
		}
	}
	return strings.Join(all, "\n")
}

// env returns the environment of the image.
func (d dockerfile) env() map[string]string {
	env := map[string]string{}
	for pair := range strings.FieldsSeq(d.last().text("ENV")) {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

// list decodes an instruction in its JSON form, the only one that works
// without a shell.
func (d dockerfile) list(t *testing.T, name string) []string {
	t.Helper()
	rest := d.last().text(name)
	var words []string
	if err := json.Unmarshal([]byte(rest[max(strings.Index(rest, "["), 0):]), &words); err != nil {
		t.Fatalf("%s %s: %v", name, rest, err)
	}
	return words
}

func TestImageIsNotRoot(t *testing.T) {
	user := parseDockerfile(t).last().text("USER")
	if !regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(user) {
		t.Errorf("USER %q: Kubernetes' runAsNonRoot wants a number that is not 0", user)
	}
	if copied := parseDockerfile(t).last().text("COPY"); !strings.Contains(copied, "--chown="+user+" /out/data /data") {
		t.Errorf("/data does not belong to %s: %s", user, copied)
	}
}

func TestImageKeepsItsDataInTheVolume(t *testing.T) {
	d := parseDockerfile(t)
	if dir, volume := d.env()["PARLEY_DATA"], d.last().text("VOLUME"); dir == "" || dir != volume {
		t.Errorf("the data is in %q, the volume is %q", dir, volume)
	}
}

func TestImageAsksAfterItsHealth(t *testing.T) {
	d := parseDockerfile(t)
	check, entry := d.list(t, "HEALTHCHECK"), d.list(t, "ENTRYPOINT")
	if len(check) != 2 || check[0] != entry[0] {
		t.Fatalf("HEALTHCHECK %v, ENTRYPOINT %v", check, entry)
	}
	if !slices.Contains(parseCommand(t).strings, check[1]) {
		t.Errorf("cmd/parley knows no command %s", check[1])
	}
}

// The linker says nothing about a variable that is not there.
func TestImageKnowsItsVersion(t *testing.T) {
	found := regexp.MustCompile(`-X main\.(\w+)=\$VERSION`).FindStringSubmatch(parseDockerfile(t).text("RUN"))
	if found == nil {
		t.Fatal("no version is linked in")
	}
	if !slices.Contains(parseCommand(t).variables, found[1]) {
		t.Errorf("cmd/parley has no variable %s for the linker to set", found[1])
	}
}

func TestImageBuildsWithTheModulesGo(t *testing.T) {
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))[1]
	if from := parseDockerfile(t).text("FROM"); !strings.Contains(from, "golang:"+want+"-") {
		t.Errorf("go.mod says go %s, the image is built with %s", want, from)
	}
	if ci := read(t, ".github/workflows/ci.yml"); !strings.Contains(ci, "golang:"+want+"-") {
		t.Errorf("go.mod says go %s, .github/workflows/ci.yml another", want)
	}
}
