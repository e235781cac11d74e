package tools

import "time"

// An Observer is told of each call of a [Registry]'s tools that has ended. It
// must return at once and be safe for concurrent use.
type Observer interface {
	Observe(tool string, took time.Duration, o Outcome)
}

// A Use is how a tool has been used in some time, on all replicas together.
type Use struct {
	Calls  int64 `json:"calls"`
	Failed int64 `json:"failed"`
	Cached int64 `json:"cached"` // of those answered from a cache
	P50Ms  int64 `json:"p50Ms"`  // half of the calls took less
	P95Ms  int64 `json:"p95Ms"`
}

// A UsePoint is the use in a piece of time.
type UsePoint struct {
	At time.Time `json:"at"` // when it begins
	Use
}

// A UseSeries is how a tool has been used of late, from the oldest piece of
// time to the present one, those without a call included.
type UseSeries struct {
	Hour []UsePoint `json:"hour"` // by minutes
	Day  []UsePoint `json:"day"`  // by quarters of an hour
}
