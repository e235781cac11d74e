// Package provider opens models: each file here speaks to one kind of model
// server and offers it as an [llm.Model], with the same pieces, errors and
// guarantees whichever server it is. Only this package knows a provider's
// wire format, and only it imports langchaingo's llms.
//
// An answer counts as whole only if the server said so. A stream that merely
// ends is an error of kind [llm.Truncated], after the text that did come.
package provider
