package gateway

import (
	"encoding/json"

	"parley/gateway/chat"
)

// mergeAbove is how much may wait for a client before its pieces are merged:
// below, decoding them costs more than it saves.
const mergeAbove = 32 << 10

// merged joins neighbouring pieces of one message into one entry with the
// last position, for a client that reads slowly. It loses nothing and changes
// no fold.
func merged(es []chat.Encoded) []chat.Encoded {
	return mergedFrom(es, mergeAbove)
}

func mergedFrom(es []chat.Encoded, above int) []chat.Encoded {
	size := 0
	for _, e := range es {
		size += len(e.Raw)
	}
	if size < above || len(es) < 2 {
		return es
	}
	var out []chat.Encoded
	var last *chat.Entry // the decoded form of out's last, while it may grow
	for _, e := range es {
		entry, err := chat.DecodeEntry(e.Raw)
		if err != nil || !isPiece(entry) {
			out, last = append(flushed(out, last), e), nil
			continue
		}
		if last != nil && last.Ev.Type == entry.Ev.Type && last.Ev.MessageID == entry.Ev.MessageID {
			last.Ev.Delta += entry.Ev.Delta
			last.At, last.TS = entry.At, entry.TS
			continue
		}
		out, last = append(flushed(out, last), chat.Encoded{}), &entry
	}
	return flushed(out, last)
}

func isPiece(e chat.Entry) bool {
	return e.Ev.Type == chat.TextContent || e.Ev.Type == chat.ReasoningContent
}

// flushed writes what last has grown to into the place that was kept for it.
func flushed(out []chat.Encoded, last *chat.Entry) []chat.Encoded {
	if last == nil {
		return out
	}
	raw, err := json.Marshal(last)
	if err != nil { // it was decoded from JSON a moment ago
		panic("gateway: merge: " + err.Error())
	}
	out[len(out)-1] = chat.Encoded{At: last.At, Raw: raw}
	return out
}
