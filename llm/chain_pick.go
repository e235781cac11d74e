package llm

import "strings"

// Refs name the models of a chain, in its order: provider:model, as operators
// write them, and @host behind it where two would be the same.
func (c *Chain) Refs() []string {
	refs := make([]string, len(c.links))
	count := map[string]int{}
	for i, l := range c.links {
		refs[i] = l.ref()
		count[refs[i]]++
	}
	for i, l := range c.links {
		if _, host, _ := strings.Cut(l.provider, " at "); count[refs[i]] > 1 && host != "" {
			refs[i] += "@" + host
		}
	}
	return refs
}

// ref names a model and who has it.
func (l *link) ref() string {
	provider, _, _ := strings.Cut(l.provider, " at ")
	if provider == "" {
		return l.model.Name()
	}
	return provider + ":" + l.model.Name()
}

// Pick returns a chain of some of c's models, in the order in which refs name
// them, and the refs that name none. It is nil if none is left. A model that
// rests, rests for both, and they share what retries there are.
func (c *Chain) Pick(refs ...string) (picked *Chain, unknown []string) {
	picked = &Chain{opts: c.opts}
	have := c.Refs()
	for _, ref := range refs {
		l := c.byRef(have, ref)
		if l == nil {
			unknown = append(unknown, ref)
			continue
		}
		picked.links = append(picked.links, l)
	}
	if len(picked.links) == 0 {
		return nil, unknown
	}
	return picked, unknown
}

// byRef returns the model of that ref. The model's own name will do; of two
// that have it the first is meant.
func (c *Chain) byRef(have []string, ref string) *link {
	for i, l := range c.links {
		if have[i] == ref {
			return l
		}
	}
	for _, l := range c.links {
		if l.model.Name() == ref || l.ref() == ref {
			return l
		}
	}
	return nil
}
