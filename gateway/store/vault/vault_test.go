package vault

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func key32(c byte) []byte { return bytes.Repeat([]byte{c}, KeySize) }

func newVault(t testing.TB, keys ...[]byte) *Vault {
	t.Helper()
	v, err := New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAValueOpensInItsPlaceAlone(t *testing.T) {
	v := newVault(t, key32(1))
	for _, plain := range []string{"", "x", "secret\x00\xff", strings.Repeat("long ", 1000)} {
		a, b := v.Seal([]byte(plain), "here"), v.Seal([]byte(plain), "here")
		if a == b || len(plain) > 1 && strings.Contains(a, plain) {
			t.Errorf("%.10q is sealed as %.40s and %.40s", plain, a, b)
		}
		if got, err := v.Open([]byte(a), "here"); err != nil || string(got) != plain {
			t.Errorf("%.10q came back as %.10q, %v", plain, got, err)
		}
		if _, err := v.Open([]byte(a), "there"); !errors.Is(err, ErrBroken) {
			t.Errorf("in another place: %v", err)
		}
	}
}

func TestEveryChangedByteIsNoticed(t *testing.T) {
	v := newVault(t, key32(1))
	good := []byte(v.Seal([]byte("secret"), "here"))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if plain, err := v.Open(bad, "here"); err == nil && !bytes.Equal(bad, good) {
			t.Errorf("byte %d changed, and it opens as %q", i, plain)
		}
	}
}

func TestOldKeysOpenAndTheNewOneSeals(t *testing.T) {
	old, both, fresh := newVault(t, key32(1)), newVault(t, key32(2), key32(1)), newVault(t, key32(2))
	was := []byte(old.Seal([]byte("secret"), "here"))
	if got, err := both.Open(was, "here"); err != nil || string(got) != "secret" || both.Current(was) {
		t.Errorf("with both keys: %q, %v, current %v", got, err, both.Current(was))
	}
	if _, err := fresh.Open(was, "here"); !errors.Is(err, ErrKey) {
		t.Errorf("without the old key: %v", err)
	}
	is := []byte(both.Seal([]byte("secret"), "here"))
	if got, err := fresh.Open(is, "here"); err != nil || string(got) != "secret" || !fresh.Current(is) || KeyID(is) != fresh.ID() {
		t.Errorf("with the new key: %q, %v", got, err)
	}
}

func TestParseKeys(t *testing.T) {
	k := key32(0xfb) // base64 of it has + and /, or - and _
	for name, text := range map[string]string{
		"base64": base64.StdEncoding.EncodeToString(k), "base64 without padding": base64.RawStdEncoding.EncodeToString(k),
		"base64 for URLs": base64.URLEncoding.EncodeToString(k), "hex": hex.EncodeToString(k),
	} {
		keys, err := ParseKeys(" " + text + " , " + hex.EncodeToString(key32(3)))
		if err != nil || len(keys) != 2 || !bytes.Equal(keys[0], k) || !bytes.Equal(keys[1], key32(3)) {
			t.Errorf("%s: %x, %v", name, keys, err)
		}
	}
	a, err := ParseKeys("a passphrase that is long enough")
	b, err2 := ParseKeys("a passphrase that is long enougH")
	if err != nil || err2 != nil || len(a[0]) != KeySize || bytes.Equal(a[0], b[0]) {
		t.Errorf("passphrases: %x %v, %x %v", a, err, b, err2)
	}
	for _, text := range []string{"", "short", "a passphrase that is long enough,", "hunter2,a passphrase that is long enough"} {
		if _, err := ParseKeys(text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAKeyFileIsMadeOnceAndForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "secret.key")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = KeyFile(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if len(k) != KeySize || !bytes.Equal(k, keys[0]) {
			t.Fatalf("keys are %x", keys)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := KeyFile(path); err == nil || strings.Contains(err.Error(), "rubbish") {
		t.Errorf("rubbish: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	v := newVault(f, key32(1))
	good := v.Seal([]byte("secret"), "here")
	for _, s := range []string{"", prefix, good, good[:len(good)-1], prefix + v.ID() + ".", prefix + v.ID() + ".AAAA", "pv1.zzzzzzzz.é"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if plain, err := v.Open(b, "elsewhere"); err == nil {
			t.Errorf("%q opened as %q", b, plain)
		}
	})
}
