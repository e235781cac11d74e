package tools

import "maps"

// Only returns the set without the tools that are not kept. What those are
// found by is like's, an earlier result or nil, if they are the same.
func (s *Set) Only(keep func(Spec) bool, like *Set) *Set {
	if s == nil {
		return nil
	}
	kept := &Set{byName: maps.Clone(s.byName), pinned: s.pinned, observer: s.observer}
	for _, spec := range s.specs {
		if keep(spec) {
			kept.specs = append(kept.specs, spec)
		} else {
			delete(kept.byName, spec.Name)
		}
	}
	if like != nil && like.finder.knows(kept.specs) {
		kept.finder = like.finder
	} else {
		kept.finder = newFinder(kept.specs)
	}
	return kept
}
