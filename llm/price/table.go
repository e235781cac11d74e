package price

// Asof is the day on which the table was read from what the providers publish.
const Asof = "2026-11-20"

// table is what models cost in US dollars for a million tokens: of input, of
// cached input, of input that is written to the cache, of output. It is what
// the providers publish for requests of usual length, without what they take
// off or add for batches, priority, long contexts, places and tools of their
// own. Of Anthropic's caches it is the one of five minutes, which is what is
// asked for. A model about whose price sources differ is left out.
const table = `
anthropic:claude-fable-5=10/1/12.5/50
anthropic:claude-opus-5=5/0.5/6.25/25
anthropic:claude-opus-4-8=5/0.5/6.25/25
anthropic:claude-opus-4-7=5/0.5/6.25/25
anthropic:claude-opus-4-6=5/0.5/6.25/25
anthropic:claude-opus-4-5=5/0.5/6.25/25
anthropic:claude-opus-4-1=15/1.5/18.75/75
anthropic:claude-opus-4-0=15/1.5/18.75/75
anthropic:claude-opus-4=15/1.5/18.75/75
anthropic:claude-sonnet-5=2/0.2/2.5/10
anthropic:claude-sonnet-4-6=3/0.3/3.75/15
anthropic:claude-sonnet-4-5=3/0.3/3.75/15
anthropic:claude-sonnet-4-0=3/0.3/3.75/15
anthropic:claude-sonnet-4=3/0.3/3.75/15
anthropic:claude-haiku-4-5=1/0.1/1.25/5
anthropic:claude-3-7-sonnet=3/0.3/3.75/15
anthropic:claude-3-5-haiku=0.8/0.08/1/4
anthropic:claude-3-haiku=0.25/0.03/0.3/1.25
openai:gpt-5.6-sol=5/0.5/6.25/30
openai:gpt-5.5=5/0.5/0/30
openai:gpt-5.4=2.5/0.25/0/15
openai:gpt-5.4-mini=0.75/0.075/0/4.5
openai:gpt-5.4-nano=0.2/0.02/0/1.25
openai:gpt-5.3-codex=1.75/0.175/0/14
openai:gpt-5.2=1.75/0.175/0/14
openai:gpt-5.1=1.25/0.125/0/10
openai:gpt-5=1.25/0.125/0/10
openai:gpt-5-mini=0.25/0.025/0/2
openai:gpt-5-nano=0.05/0.005/0/0.4
openai:gpt-4.1=2/0.5/0/8
openai:gpt-4.1-mini=0.4/0.1/0/1.6
openai:gpt-4.1-nano=0.1/0.025/0/0.4
openai:gpt-4o=2.5/1.25/0/10
openai:gpt-4o-mini=0.15/0.075/0/0.6
openai:o3=2/0.5/0/8
openai:o4-mini=1.1/0.275/0/4.4
gemini:gemini-3.1-pro-preview=2/0.2/0/12
gemini:gemini-3.5-flash=1.5/0.15/0/9
gemini:gemini-2.5-pro=1.25/0.125/0/10
gemini:gemini-2.5-flash=0.3/0.03/0/2.5
gemini:gemini-2.5-flash-lite=0.1/0.01/0/0.4
ollama:*=0/0
demo:*=0/0
`
