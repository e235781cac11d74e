package chat

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// None of these scripts stands on the way of a piece of an answer: pieces are
// plain XADDs with explicit ids, which Redis itself refuses once a later
// generation has begun.
var (
	//go:embed lua/post.lua
	postLua string
	//go:embed lua/restore.lua
	restoreLua string
	//go:embed lua/claim.lua
	claimLua string
	//go:embed lua/renew.lua
	renewLua string
	//go:embed lua/release.lua
	releaseLua string
	//go:embed lua/delete.lua
	deleteLua string
)

var (
	postScript    = redis.NewScript(postLua)
	restoreScript = redis.NewScript(restoreLua)
	claimScript   = redis.NewScript(claimLua)
	renewScript   = redis.NewScript(renewLua)
	releaseScript = redis.NewScript(releaseLua)
	deleteScript  = redis.NewScript(deleteLua)
)
