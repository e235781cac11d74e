// Package deploy_test holds what starts Parley elsewhere, the image and the
// composition, to what the program and its documents say. No container engine
// is needed: image_test.go, with -tags integration, builds the binary with the
// Dockerfile's own line and runs it as confined as the image would.
package deploy_test
