// Package web is Parley's page in the browser: the built files of the
// TypeScript application in app, embedded, and the handler that serves them.
//
// The files in dist are committed, so that the binary builds without Node.
// dist/.srchash says which sources they were built from; a test compares.
package web

import "embed"

// all: because .srchash begins with a dot.
//
//go:embed all:dist
var dist embed.FS
