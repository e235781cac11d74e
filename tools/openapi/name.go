package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// names gives every operation a name that models' APIs take and that no other
// has. Names do not depend on what is chosen of a document.
type names struct {
	prefix string
	taken  map[string]bool
	notes  *notes
}

func newNames(prefix string, n *notes) *names {
	return &names{clean(prefix), map[string]bool{}, n}
}

const maxName = 64 // of all models' APIs: see [tools.NamePattern]

// assign names operations that have an id first, so that one without cannot
// take its name.
func (n *names) assign(ops []Operation) {
	seen := map[string]bool{}
	for i := range ops {
		if id := ops[i].ID; seen[id] {
			n.notes.addf("the operationId %s is used more than once", line(id, 80))
		} else if id != "" {
			seen[id] = true
		}
		if clean(ops[i].ID) != "" {
			ops[i].Name = n.name(clean(ops[i].ID), ops[i].Operation)
		}
	}
	for i := range ops {
		if ops[i].Name == "" {
			ops[i].Name = n.name(derived(ops[i].Operation), ops[i].Operation)
		}
	}
}

// name returns base, with the mark of the operation behind it if it is too
// long or taken.
func (n *names) name(base, operation string) string {
	if n.prefix != "" {
		base = n.prefix + "_" + base
	}
	name := base
	if len(base) > maxName || n.taken[base] {
		sum := sha256.Sum256([]byte(operation))
		name = cut(base, maxName-7) + "_" + hex.EncodeToString(sum[:3])
	}
	return unusedName(name, n.taken)
}

func unusedName(name string, taken map[string]bool) string {
	if !taken[name] {
		taken[name] = true
		return name
	}
	return unused(cut(name, maxName-6)+"_", taken)
}

var (
	badName = regexp.MustCompile(`[^a-zA-Z0-9_-]+`)
	runs    = regexp.MustCompile(`_{2,}`)
)

func clean(s string) string {
	return strings.Trim(runs.ReplaceAllString(badName.ReplaceAllString(s, "_"), "_"), "_")
}

// derived is a name made of method and path: get_pets_petId.
func derived(operation string) string {
	method, path, _ := strings.Cut(operation, " ")
	return strings.TrimSuffix(strings.ToLower(method)+"_"+clean(path), "_")
}
