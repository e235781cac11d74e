package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"

	"parley/cmd/parley/client"
)

// cookieName is the cookie by which a server knows a guest.
const cookieName = "parley"

// A guest is a person without a token: a server knows them by a cookie, which
// is kept in a file that only they can read, so that their conversations are
// theirs next time.
type guest struct {
	path   string // of the file, empty for none
	target client.Target
	jar    http.CookieJar
}

// cookieFile is where this platform keeps a program's configuration.
func cookieFile(getenv func(string) string) string {
	folder := under(getenv("HOME"), ".config", "parley")
	switch x := getenv("XDG_CONFIG_HOME"); {
	case runtime.GOOS == "windows":
		folder = under(getenv("APPDATA"), "Parley")
	case runtime.GOOS == "darwin":
		folder = under(getenv("HOME"), "Library", "Application Support", "Parley")
	case filepath.IsAbs(x):
		folder = filepath.Join(x, "parley")
	}
	return under(folder, "cookies.json")
}

// load puts the cookie from the file into the jar, if there is one.
func (g *guest) load() {
	if v := g.read()[g.target.URL.String()]; v != "" && g.target.Token == "" {
		g.jar.SetCookies(g.target.URL, []*http.Cookie{{Name: cookieName, Value: v, Path: "/"}})
	}
}

func (g *guest) read() map[string]string {
	all := map[string]string{}
	if b, err := readSmall(g.path, 1<<20); err == nil {
		_ = json.Unmarshal(b, &all) // a broken file is as good as none
	}
	return all
}

// save writes the jar's cookie into the file, in one step, so that a reader
// finds the old one or the new one.
func (g *guest) save() error {
	value := g.cookie()
	all := g.read()
	if g.target.Token != "" || value == "" || all[g.target.URL.String()] == value {
		return nil
	}
	if g.path == "" {
		return fmt.Errorf("this user has no folder for configuration")
	}
	all[g.target.URL.String()] = value
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(g.path, b)
}

func (g *guest) cookie() string {
	for _, c := range g.jar.Cookies(g.target.URL) {
		if c.Name == cookieName {
			return c.Value
		}
	}
	return ""
}

// replaceFile writes a file that only its owner can read.
func replaceFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
