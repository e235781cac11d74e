package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"parley/gateway/chat/inprocess"
)

// writeKeyPair makes a certificate that vouches for itself, and for 127.0.0.1
// as server and client, and returns the files that it and its key are in.
func writeKeyPair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// tlsRedis returns the address of a Redis that speaks TLS only, to clients
// that the certificate vouches for.
func tlsRedis(t *testing.T, cert, key string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(cert)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	r := inprocess.New()
	t.Cleanup(func() { _ = ln.Close(); r.Close() })
	go func() {
		for {
			outer, err := ln.Accept()
			if err != nil {
				return
			}
			inner, err := r.Dial()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(inner, outer); _ = inner.Close() }()
			go func() { _, _ = io.Copy(outer, inner); _ = outer.Close() }()
		}
	}()
	return ln.Addr().String()
}

func TestRedisOverTLS(t *testing.T) {
	cert, key := writeKeyPair(t)
	strangersCert, strangersKey := writeKeyPair(t)
	addr := tlsRedis(t, cert, key)
	for name, tt := range map[string]struct {
		query string
		ok    bool
	}{
		"with everything":             {"?ca=" + cert + "&cert=" + cert + "&key=" + key, true},
		"trusting anybody":            {"?insecure=true&cert=" + cert + "&key=" + key, true},
		"not knowing the authority":   {"?cert=" + cert + "&key=" + key, false},
		"without a certificate":       {"?ca=" + cert, false},
		"with a stranger's":           {"?ca=" + cert + "&cert=" + strangersCert + "&key=" + strangersKey, false},
		"expecting another authority": {"?ca=" + strangersCert + "&cert=" + cert + "&key=" + key, false},
		"expecting another server":    {"?ca=" + cert + "&cert=" + cert + "&key=" + key + "&server_name=redis", false},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := parseRedis("rediss://" + addr + tt.query)
			if err != nil {
				t.Fatal(err)
			}
			a.o.DialerRetries = 1
			c := a.client()
			defer func() { _ = c.Close() }()
			if err := c.Ping(t.Context()).Err(); (err == nil) != tt.ok {
				t.Errorf("%v", err)
			}
		})
	}
}
