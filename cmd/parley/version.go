package main

// version is set by the linker in releases and images (-X main.version=…).
// Empty means that the build's own information says it.
var version string

// shortVersion returns the version alone.
func shortVersion() string {
	v, _ := buildVersion()
	return v
}
