// Package llmtest is model servers for tests: a [Handler] that answers after a
// script in any [Dialect], and tables of raw streams, right and broken, with
// the outcome that each must have, which [Conformance] runs against a provider.
//
// Everything here is a real HTTP server. It starts no goroutines but those of
// net/http and of its pipes, and waits by the clock of whoever calls it, so
// that it runs inside a [testing/synctest] bubble too, over [NewPipeServer].
package llmtest
