package main

import (
	"errors"
	"strings"

	"parley/llm"
)

// inputRow says what the model takes.
func inputRow() setting {
	row := text("model-input", "text,image,audio,pdf", "", "What the model takes; the rest of what people attach it is only told of, and they are told so.",
		func(s *settings) *string { return &s.ModelInput }, optional(func(v string) (string, error) {
			_, err := parseInput(v)
			return v, err
		}))
	row.shown = "what is known of the model, or what Ollama says of it"
	return row
}

func parseInput(v string) (in llm.Input, err error) {
	for _, part := range strings.Split(v, ",") {
		switch strings.TrimSpace(part) {
		case "text":
		case "image":
			in.Image = true
		case "audio":
			in.Audio = true
		case "pdf":
			in.PDF = true
		default:
			return in, errors.New("must be text, image, audio and pdf, with commas between, such as text,image")
		}
	}
	return in, nil
}

// modelInput is what the settings say that the model takes, nil if nothing.
func modelInput(s settings) *llm.Input {
	if s.ModelInput == "" {
		return nil
	}
	in, _ := parseInput(s.ModelInput) // was parsed before
	return &in
}
