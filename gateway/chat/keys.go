package chat

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// Partitions is the number of parts that conversations are divided into. All
// keys of a conversation, and the index of what is due in its partition,
// share a Redis Cluster slot, so that one script can change them together.
// It must never change, and neither may what they are called.
const Partitions = 64

// partitionNames give each partition a Cluster slot of its own part of all
// 16,384: partition i has one near the middle of the 256 that begin at 256*i,
// so that however many nodes share them evenly, each has its share of
// partitions.
var partitionNames = [Partitions]uint16{
	68, 60, 86, 104, 55, 126, 131, 139, 15, 197, 171, 179, 28, 20, 3, 144,
	98, 90, 76, 105, 372, 127, 130, 43, 14, 167, 181, 189, 29, 21, 36, 235,
	265, 66, 71, 79, 53, 250, 137, 44, 13, 160, 177, 322, 155, 26, 5, 142,
	114, 67, 70, 78, 52, 121, 246, 45, 169, 161, 176, 412, 154, 301, 4, 38,
}

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

func tag(partition int) string {
	return "parley:{p" + strconv.Itoa(int(partitionNames[partition])) + "}"
}

// tagOf returns the tag that a key or channel begins with, or nothing.
func tagOf(name string) string {
	end := strings.IndexByte(name, '}')
	return name[:end+1]
}

// livePrefix and an incarnation name the channel that a process listens to
// while it lives: pokes for the conversations that it writes come on it.
const livePrefix = "parley:live:"

// wakeChannel carries conversations that have become due and that the one
// who knows of it does not claim.
const wakeChannel = "parley:wake"
