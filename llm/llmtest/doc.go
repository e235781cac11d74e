// Package llmtest is model servers for tests: a [Handler] that answers after a
// script in any [Dialect], and tables of raw streams, right and broken, with
// the outcome that each must have, which [Conformance] runs against a provider.
// The common ones are had by every dialect, or it says in [Inapplicable] why it
// cannot have them: answers, calls, bytes, breaks, errors, answers in a format,
// and answers that are gone on with. Of these two they say too what must be sent.
//
// Everything here is a real HTTP server. It starts no goroutines but those of
// net/http and of its pipes, and waits by the clock of whoever calls it, so
// that it runs inside a [testing/synctest] bubble too, over [NewPipeServer].
package llmtest
