package provider_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tmc/langchaingo/llms"

	"parley/llm"
	"parley/llm/llmtest"
	"parley/llm/provider"
)

func TestLangchainTakesPictures(t *testing.T) {
	s := llmtest.NewServer(t, llmtest.Sequence(llmtest.Text("ok")))
	m := openDialect(t, llmtest.OpenAI, provider.Options{BaseURL: s.URL, Input: &llm.Input{Image: true}})
	lc := provider.Langchain(m)
	ask := func(parts ...llms.ContentPart) error {
		_, err := lc.GenerateContent(t.Context(), []llms.MessageContent{{Role: llms.ChatMessageTypeHuman, Parts: parts}})
		return err
	}
	url := "data:image/png;base64," + base64.StdEncoding.EncodeToString([]byte(somePNG))
	if err := ask(llms.TextPart("Compare"), llms.ImageURLPart(url), llms.TextPart("with"), llms.BinaryPart("image/lies", []byte(somePNG))); err != nil {
		t.Fatal(err)
	}
	image := llmtest.Part{Kind: llm.ImagePart, Media: "image/png", Data: []byte(somePNG)}
	want := []llmtest.Part{{Kind: llm.TextPart, Text: "Compare"}, image, {Kind: llm.TextPart, Text: "with"}, image}
	if d := cmp.Diff(want, s.Requests()[0].Last().Parts); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for name, c := range map[string]struct {
		part llms.ContentPart
		says string
	}{
		"an address":                   {llms.ImageURLPart("http://169.254.169.254/latest"), "not fetched"},
		"a URL that is no base64":      {llms.ImageURLPart("data:image/png,hello"), "base64"},
		"something else":               {llms.BinaryPart("image/png", []byte("<svg/>")), "must be PNG"},
		"what the model does not take": {llms.BinaryPart("application/pdf", []byte(somePDF)), "takes no part"},
		"more bytes than there may be": {llms.BinaryPart("image/png", []byte(somePNG+strings.Repeat("x", 20<<20))), "at most"},
	} {
		if err := ask(c.part); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(s.Requests()); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}
