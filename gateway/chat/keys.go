package chat

import (
	"hash/fnv"
	"strconv"
	"time"
)

// Partitions is the number of parts that conversations are divided into. All
// keys of a conversation, and the index of what is due in its partition,
// share a Redis Cluster slot, so that one script can change them together.
// It must never change.
const Partitions = 64

// The lifetimes of keys. The lease's heartbeat refreshes them.
const (
	logTTL  = 10 * time.Minute // after which a cursor gets a snapshot from the store
	ownTTL  = time.Hour        // generations must not fall behind while a log lives
	inTTL   = time.Hour        // what is lost with it the reconciler puts back
	sentTTL = time.Hour
)

// keys are the names of one conversation's keys and channels.
type keys struct {
	log, in, own, due, bell string
}

func keysOf(conv string) keys {
	p := tag(partition(conv))
	return keys{
		log:  p + ":log:" + conv,
		in:   p + ":in:" + conv,
		own:  p + ":own:" + conv,
		due:  p + ":due",
		bell: p + ":bell:" + conv,
	}
}

func (k keys) sent(conv, id string) string { return tag(partition(conv)) + ":sent:" + conv + ":" + id }

func partition(conv string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(conv))
	return int(h.Sum32() % Partitions)
}

func tag(partition int) string { return "parley:{p" + strconv.Itoa(partition) + "}" }

// livePrefix and an incarnation name the channel that a process listens to
// while it lives: pokes for the conversations that it writes come on it.
const livePrefix = "parley:live:"

// wakeChannel carries conversations that have become due and that the one
// who knows of it does not claim.
const wakeChannel = "parley:wake"
