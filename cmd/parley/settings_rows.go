package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

type duration = time.Duration

// text is a row whose value is one text, which parse checks and may put into
// its proper form.
func text(name, arg, def, help string, field func(*settings) *string, parse func(string) (string, error)) setting {
	return setting{
		name: name, arg: arg, def: def, help: help,
		set: func(s *settings, v string) (err error) { *field(s), err = parse(v); return err },
		get: func(s *settings) string { return *field(s) },
	}
}

func secretRow(name, help string, field func(*settings) *secret, parse func(string) (string, error)) setting {
	return setting{
		name: name, arg: "secret", help: help, secret: true,
		set: func(s *settings, v string) error {
			v, err := parse(v)
			*field(s) = secret(v)
			return err
		},
		get: func(s *settings) string { return string(*field(s)) },
	}
}

// fileRow is the way to give a secret as a file, as orchestrators mount them.
func fileRow(of setting, help string) setting {
	return setting{name: of.name + "-file", arg: "file", help: help, fileOf: of.name, set: of.set}
}

// list is a row whose value is texts with commas between them.
func list(name, arg, help string, field func(*settings) *[]string, parse func(string) (string, error)) setting {
	return setting{
		name: name, arg: arg, help: help,
		set: func(s *settings, v string) error {
			var vs []string
			for _, part := range parts(v) {
				p, err := parse(part)
				if err != nil {
					return fmt.Errorf("has the entry %q, which %w", part, err)
				}
				vs = append(vs, p)
			}
			*field(s) = vs
			return nil
		},
		get: func(s *settings) string { return strings.Join(*field(s), ",") },
	}
}

// parts splits at commas and leaves out what is empty.
func parts(v string) (out []string) {
	for p := range strings.SplitSeq(v, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

func number(name, arg, def, help string, least, most int, field func(*settings) *int) setting {
	return setting{
		name: name, arg: arg, def: def, help: help,
		set: func(s *settings, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < least || n > most {
				return fmt.Errorf("is not a whole number from %d to %d, such as %s", least, most, def)
			}
			*field(s) = n
			return nil
		},
		get: func(s *settings) string { return strconv.Itoa(*field(s)) },
	}
}

func period(name, def, help, least, most string, field func(*settings) *duration) setting {
	lo, _ := time.ParseDuration(least)
	hi, _ := time.ParseDuration(most)
	return setting{
		name: name, arg: "duration", def: def, help: help,
		set: func(s *settings, v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d < lo || d > hi {
				return fmt.Errorf("is not a duration from %s to %s, such as %s", least, most, def)
			}
			*field(s) = d
			return nil
		},
		get: func(s *settings) string { return field(s).String() },
	}
}

func logRow() setting {
	return setting{
		name: "log", arg: "level[,format]", def: "info,text",
		help: "What is logged, debug, info, warn or error, and how, text or json.",
		set: func(s *settings, v string) error {
			for _, p := range parts(strings.ToLower(v)) {
				if err := setLog(s, p); err != nil {
					return err
				}
			}
			return nil
		},
		get: func(s *settings) string { return strings.ToLower(s.LogLevel.String()) + "," + s.LogFormat },
	}
}

func setLog(s *settings, part string) error {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	if l, ok := levels[part]; ok {
		s.LogLevel = l
		return nil
	}
	if part != "text" && part != "json" {
		return fmt.Errorf("is not debug, info, warn or error, with text or json behind it, such as info,json")
	}
	s.LogFormat = part
	return nil
}

func proxiesRow() setting {
	return setting{
		name: "trusted-proxies", arg: "network,…", help: "Networks of load balancers whose X-Forwarded headers are believed.",
		set: func(s *settings, v string) error {
			var ps []netip.Prefix
			for _, part := range parts(v) {
				p, err := network(part)
				if err != nil {
					return fmt.Errorf("has the entry %q, which is not a network, such as 10.0.0.0/8", part)
				}
				ps = append(ps, p)
			}
			s.TrustedProxies = ps
			return nil
		},
		get: func(s *settings) string {
			var vs []string
			for _, p := range s.TrustedProxies {
				vs = append(vs, p.String())
			}
			return strings.Join(vs, ",")
		},
	}
}

// network reads a CIDR or a single address.
func network(v string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(v); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	return p.Masked(), err
}

func fileBytesRow() setting {
	return setting{
		name: "file-bytes-per-person", arg: "bytes", def: "524288000", help: "Bytes of all files of one person.",
		set: func(s *settings, v string) error {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < 1024 || n > 1<<50 {
				return fmt.Errorf("is not a whole number from 1024 to %d, such as 524288000", int64(1)<<50)
			}
			s.FileBytes = n
			return nil
		},
		get: func(s *settings) string { return strconv.FormatInt(s.FileBytes, 10) },
	}
}
