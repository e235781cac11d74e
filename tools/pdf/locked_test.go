package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	lockID  = "0123456789abcdef"
	lockPad = "\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A"
)

func scrambled(key, data []byte) []byte {
	c, err := rc4.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(data))
	c.XORKeyStream(out, data)
	return out
}

// lockedPage is what the page of a locked file says.
const lockedPage = "BT /F 12 Tf (swordfish) Tj ET   " // two blocks

// locked is a PDF of one page that says swordfish, encrypted with RC4 and a
// key of so many bits as PDF 32000-1 7.6 has it, algorithms 1 to 5.
func locked(password string, bits int, aesToo bool) []byte {
	v, rev, n := 2, 3, bits/8
	if bits == 40 {
		v, rev = 1, 2
	}
	owner := strings.Repeat("o", 32)
	sum := md5.Sum([]byte((password + lockPad)[:32] + owner + "\xFC\xFF\xFF\xFF" + lockID)) // P is -4
	check := []byte(lockPad)
	if rev == 3 {
		for range 50 {
			sum = md5.Sum(sum[:n])
		}
		digest := md5.Sum([]byte(lockPad + lockID))
		check = digest[:]
	}
	key := sum[:n]
	own := md5.Sum(append(bytes.Clone(key), 4, 0, 0, 0, 0)) // of object 4
	page, more := scrambled(own[:min(n+5, 16)], []byte(lockedPage)), ""
	if aesToo {
		v, rev, more = 4, 4, "/CF<</StdCF<</CFM/AESV2/AuthEvent/DocOpen/Length 16>>>>/StmF/StdCF/StrF/StdCF"
		page = chained(md5.Sum(append(bytes.Clone(key), []byte("\x04\x00\x00\x00\x00sAlT")...)))
	}
	check = scrambled(key, check)
	for i := 1; i < 20 && rev > 2; i++ {
		again := bytes.Clone(key)
		for j := range again {
			again[j] ^= byte(i)
		}
		check = scrambled(again, check)
	}
	user := append(check, make([]byte, 32-len(check))...)
	return sealed(page, fmt.Sprintf("<</Filter/Standard/V %d/R %d/Length %d/P -4/O<%x>/U<%x>%s>>", v, rev, bits, owner, user, more))
}

// chained is the page in AES-CBC behind a vector of zeros, padded.
func chained(key [16]byte) []byte {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	text := []byte(lockedPage + strings.Repeat("\x10", aes.BlockSize))
	cipher.NewCBCEncrypter(block, make([]byte, aes.BlockSize)).CryptBlocks(text, text)
	return append(make([]byte, aes.BlockSize), text...)
}

// sealed is a PDF of one page with a dictionary that says how it is encrypted.
func sealed(page []byte, how string) []byte {
	objs := []string{
		"<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[3 0 R]>>", "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
		fmt.Sprintf("<</Length %d>>\nstream\n%s\nendstream", len(page), page), "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>", how,
	}
	s, table := "%PDF-1.4\n", "xref\n0 7\n0000000000 65535 f \n"
	for i, o := range objs {
		table += fmt.Sprintf("%010d 00000 n \n", len(s))
		s += fmt.Sprintf("%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	return []byte(s + table + fmt.Sprintf("trailer\n<</Size 7/Root 1 0 R/Encrypt 6 0 R/ID[<%x><%x>]>>\nstartxref\n%d\n%%%%EOF\n", lockID, lockID, len(s)))
}

func TestEncryptedPDFs(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"that everybody may read":          {locked("", 128, false), nil},
		"that everybody may read, by AES":  {locked("", 128, true), nil},
		"by AES that need a password":      {locked("secret", 128, true), ErrEncrypted},
		"that need a password":             {locked("secret", 128, false), ErrEncrypted},
		"with an old short key":            {locked("", 40, false), ErrEncrypted},
		"with an old short key, protected": {locked("secret", 40, false), ErrEncrypted},
		"in a way that is not read":        {sealed([]byte("?"), "<</Filter/Standard/V 5/R 6/Length 256/P -4/O()/U()>>"), ErrEncrypted},
		"by somebody else's program":       {sealed([]byte("?"), "<</Filter/Somebodys>>"), ErrEncrypted},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := Text(t.Context(), c.data, Limits{})
			if !errors.Is(err, c.want) || c.want == nil && !strings.Contains(w.Text, "swordfish") {
				t.Errorf("%+v, %v, want %v", w, err, c.want)
			}
		})
	}
}
