package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/gateway/chat"
	"parley/tools"
	"parley/tools/feed"
	"parley/tools/mcp"
)

const canary = "canary-0123456789"

func secretEndpoint(name string) tools.Endpoint {
	return tools.Endpoint{Name: name, Description: "x", Steps: []tools.Step{
		{ID: "a", Request: tools.Request{URL: "https://a.example/", Headers: map[string]string{"X-Api-Key": canary + "-header"}}},
		{ID: "b", Request: tools.Request{URL: "https://b.example/", SecretQuery: map[string]string{"key": canary + "-query"}}},
	}}
}

// secretsEverywhere puts a canary wherever the store keeps a secret.
func secretsEverywhere(t *testing.T, db *DB) {
	t.Helper()
	_, err := db.Secret(t.Context(), "cookie", []byte(canary+"-cookie"))
	c := tools.Credential{Name: "c", Kind: tools.OAuth2, TokenURL: "https://id.example", ClientSecret: canary + "-client", Origins: []string{"https://a.example"}}
	basic := tools.Credential{Name: "b", Kind: tools.Basic, User: canary + "-user", Password: canary + "-password", Origins: c.Origins}
	key := tools.Credential{Name: "k", Kind: tools.APIKey, Value: canary + "-value", Origins: c.Origins}
	err = errors.Join(err, db.PutEndpoint(t.Context(), secretEndpoint("e")),
		db.PutMCPServer(t.Context(), mcp.Server{Name: "m", URL: "https://m.example/mcp", Headers: map[string]string{"X-Api-Key": canary + "-mcp"}}),
		db.PutCredential(t.Context(), c), db.PutCredential(t.Context(), basic), db.PutCredential(t.Context(), key),
		db.PutFeed(t.Context(), feed.Feed{Name: "f", Headers: map[string]string{"X-Key": canary + "-feed"}, SecretQuery: map[string]string{"token": canary + "-feed-query"}, Login: canary + "-login"}),
		db.PutDeparture(t.Context(), "state", tools.Departure{Verifier: canary + "-verifier", Person: "ann", Expires: time.Now().Add(time.Hour)}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.PutToken(t.Context(), tools.TokenKey{Credential: "c", Person: "ann"}, tools.Token{Access: canary + "-access", Refresh: canary + "-refresh"}, 0); err != nil {
		t.Fatal(err)
	}
}

// mustReadSecrets reads what secretsEverywhere has put, but for the departure.
func mustReadSecrets(t *testing.T, db *DB) {
	t.Helper()
	s, err := db.Secret(t.Context(), "cookie", []byte("fresh"))
	e, err2 := db.Endpoint(t.Context(), "e")
	c, err3 := db.Credential(t.Context(), "c")
	b, err4 := db.Credential(t.Context(), "b")
	k, err5 := db.Token(t.Context(), tools.TokenKey{Credential: "c", Person: "ann"})
	m, err6 := db.MCPServer(t.Context(), "m")
	f, err7 := db.Feed(t.Context(), "f")
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7); err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{string(s), e.Steps[0].Headers["X-Api-Key"], e.Steps[1].SecretQuery["key"], c.ClientSecret, b.User, b.Password, k.Access, k.Refresh, m.Headers["X-Api-Key"], f.Headers["X-Key"], f.SecretQuery["token"], f.Login} {
		if !strings.HasPrefix(got, canary) {
			t.Errorf("a secret is read as %q", got)
		}
	}
}

// shows returns the files of the store that hold a text.
func shows(t *testing.T, path, text string) (found []string) {
	t.Helper()
	files, _ := filepath.Glob(path + "*")
	if len(files) == 0 {
		t.Fatal("there is no file")
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			found = append(found, f)
		}
	}
	return found
}

func openWith(t *testing.T, path string, keys ...byte) *DB {
	t.Helper()
	db, err := Open(t.Context(), path, testVault(t, keys...))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func mustClose(t *testing.T, db *DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNoSecretIsInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	db := openWith(t, path, 1)
	defer mustClose(t, db)
	secretsEverywhere(t, db)
	mustReadSecrets(t, db)
	if found := shows(t, path, canary); found != nil {
		t.Errorf("%v show a secret", found)
	}
	if d, err := db.TakeDeparture(t.Context(), "state"); err != nil || d.Verifier != canary+"-verifier" {
		t.Errorf("%+v, %v", d, err)
	}
}

// A store of a version that encrypted nothing is encrypted when it is opened,
// and the file holds nothing of what was there.
func TestPlainSecretsAreEncryptedAtStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	old := openWith(t, path, 1)
	secretsEverywhere(t, old)
	for statement, args := range map[string][]any{
		`UPDATE secrets SET value = $1 WHERE name = 'cookie'`: {[]byte(canary + "-cookie")},
		`DELETE FROM secrets WHERE name = 'vault-check'`:      nil,
		`UPDATE endpoints SET body = $1`: {`{"name":"e","description":"x","steps":[{"id":"a","url":"https://a.example/","headers":{"X-Api-Key":"` + canary + `-header"}},` +
			`{"id":"b","url":"https://b.example/","secretQuery":{"key":"` + canary + `-query"}}]}`},
	} {
		if _, err := old.write.Exec(statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, old)
	if found := shows(t, path, canary); found == nil {
		t.Fatal("the old file shows no secret: this test shows nothing")
	}
	db := openWith(t, path, 1)
	mustReadSecrets(t, db)
	if found := shows(t, path, canary); found != nil {
		t.Errorf("%v still show a secret", found)
	}
	mustClose(t, db)
	if found := shows(t, path, canary); found != nil {
		t.Errorf("%v still show a secret after all", found)
	}
}

// What a replica of an earlier version stores meanwhile is read, and encrypted
// at the next start.
func TestAnEarlierVersionMayStillWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	db := openWith(t, path, 1)
	body := `{"name":"e","description":"x","url":"https://a.example/","headers":{"X-Api-Key":"` + canary + `"}}`
	if _, err := db.write.Exec(`INSERT INTO endpoints (name, body) VALUES ('e', $1)`, body); err != nil {
		t.Fatal(err)
	}
	if e, err := db.Endpoint(t.Context(), "e"); err != nil || e.Headers["X-Api-Key"] != canary {
		t.Errorf("%v, %v", e.Headers, err)
	}
	mustClose(t, db)
	mustClose(t, openWith(t, path, 1))
	if found := shows(t, path, canary); found != nil {
		t.Errorf("%v show a secret", found)
	}
}

func TestAnotherKeyIsRefusedAndChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	db := openWith(t, path, 1)
	secretsEverywhere(t, db)
	was := dump(t, db)
	mustClose(t, db)
	_, err := Open(t.Context(), path, testVault(t, 2))
	if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), testVault(t, 1).ID()) || !strings.Contains(err.Error(), testVault(t, 2).ID()) {
		t.Errorf("error is %v", err)
	}
	db = openWith(t, path, 1)
	defer mustClose(t, db)
	if d := dump(t, db); len(d["secrets"]) != len(was["secrets"]) || d["tokens"][0] != was["tokens"][0] {
		t.Error("something has changed")
	}
	mustReadSecrets(t, db)
}

func TestKeysAreRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	db := openWith(t, path, 1)
	secretsEverywhere(t, db)
	mustClose(t, db)
	ready := openWith(t, path, 1, 2) // knows the next key already, and runs on
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			db, err := Open(t.Context(), path, testVault(t, 2, 1))
			if err != nil {
				t.Error(err)
				return
			}
			db.Close()
		})
	}
	wg.Wait()
	mustReadSecrets(t, ready)
	mustClose(t, ready)
	db = openWith(t, path, 2)
	mustReadSecrets(t, db)
	mustClose(t, db)
	if _, err := Open(t.Context(), path, testVault(t, 1)); !errors.Is(err, ErrKey) {
		t.Errorf("the old key alone: %v", err)
	}
}

// Who can write to the database cannot have a secret sent elsewhere.
func TestASecretIsBoundToItsOrigin(t *testing.T) {
	db := open(t, ":memory:")
	secretsEverywhere(t, db)
	for _, s := range []string{
		`UPDATE endpoints SET body = replace(body, 'a.example', 'evil.example')`,
		`UPDATE credentials SET body = replace(replace(body, 'a.example', 'evil.example'), 'id.example', 'evil.example')`,
		`INSERT INTO tokens SELECT 'k', person, version, body, holder, held_until FROM tokens`,
	} {
		if _, err := db.write.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	e, err := db.Endpoint(t.Context(), "e")
	if err != nil || e.Steps[0].Headers["X-Api-Key"] != tools.Mask || e.Steps[1].SecretQuery["key"] != canary+"-query" {
		t.Errorf("%v %v, %v", e.Steps[0].Headers, e.Steps[1].SecretQuery, err)
	}
	if e.Validate() == nil {
		t.Error("an endpoint whose secret cannot be read is valid")
	}
	if c, err := db.Credential(t.Context(), "c"); err == nil {
		t.Errorf("the credential is read: %q", c.ClientSecret)
	}
	if k, err := db.Token(t.Context(), tools.TokenKey{Credential: "k", Person: "ann"}); err == nil {
		t.Errorf("the token is read: %q", k.Access)
	}
	if all, err := db.Credentials(t.Context()); err != nil || len(all) != 3 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestWithoutAVaultNoSecretIsReadOrStored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "parley.db")
	db := openWith(t, path, 1)
	secretsEverywhere(t, db)
	mustClose(t, db)
	bare := openSealed(t, path)
	if s, err := bare.Secret(t.Context(), "cookie", []byte("x")); !errors.Is(err, ErrSealed) {
		t.Errorf("%q, %v", s, err)
	}
	if err := bare.PutEndpoint(t.Context(), secretEndpoint("f")); !errors.Is(err, ErrSealed) {
		t.Error(err)
	}
	if _, err := bare.Credential(t.Context(), "c"); !errors.Is(err, ErrSealed) || errors.Is(err, chat.ErrNotFound) {
		t.Error(err)
	}
	if _, err := bare.Token(t.Context(), tools.TokenKey{Credential: "c", Person: "ann"}); !errors.Is(err, ErrSealed) {
		t.Error(err)
	}
}
