package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A Watched is a primary with a replica, and Sentinels that put the replica
// in the primary's place about a second after that has died.
type Watched struct {
	Primary, Replica *Server
	Sentinels        []*Server
}

// watchedName is what the Sentinels call the primary.
const watchedName = "mymaster"

// StartWatched starts it all and returns when the Sentinels know of it.
func StartWatched(tb testing.TB, sentinels int, args ...string) *Watched {
	tb.Helper()
	w := &Watched{Primary: Start(tb, args...)}
	host, masterPort := "127.0.0.1", port(w.Primary.Addr)
	w.Replica = Start(tb, append([]string{"--replicaof", host + " " + masterPort}, args...)...)
	until(tb, "the replica has the primary's data", func() bool { return w.Replica.info("replication", "master_link_status") == "up" })
	for range sentinels {
		conf := filepath.Join(tb.TempDir(), "sentinel.conf")
		text := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s %[4]d\nsentinel down-after-milliseconds %[1]s 1000\nsentinel failover-timeout %[1]s 5000\n", watchedName, host, masterPort, sentinels/2+1)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		w.Sentinels = append(w.Sentinels, startSentinel(tb, conf))
	}
	for _, s := range w.Sentinels {
		until(tb, "the Sentinels know the replica and one another", func() bool {
			return strings.Contains(s.info("sentinel", "master0"), fmt.Sprintf("status=ok,address=%s,slaves=1,sentinels=%d", w.Primary.Addr, sentinels))
		})
	}
	return w
}

func startSentinel(tb testing.TB, conf string) *Server {
	tb.Helper()
	addr := freeAddr(tb)
	s := &Server{Addr: addr, tb: tb, log: conf + ".log", args: []string{conf, "--sentinel", "--bind", "127.0.0.1", "--port", port(addr), "--logfile", conf + ".log"}}
	tb.Cleanup(s.Kill)
	s.Start()
	return s
}

// URL is the primary, by its Sentinels, as PARLEY_REDIS.
func (w *Watched) URL() string {
	var addrs []string
	for _, s := range w.Sentinels {
		addrs = append(addrs, s.Addr)
	}
	return "redis+sentinel://" + strings.Join(addrs, ",") + "/" + watchedName
}
