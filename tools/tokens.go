package tools

// Tokens estimates how many tokens a model reads s as: a token for four
// characters of ASCII, and one for each other character. That is near enough
// for a limit, and on the safe side for most scripts.
func Tokens(s string) int {
	ascii, other := 0, 0
	for _, r := range s {
		if r < 0x80 {
			ascii++
		} else {
			other++
		}
	}
	return (ascii+3)/4 + other
}

// cutTokens returns the beginning of s that has about n tokens, without half a
// character at its end.
func cutTokens(s string, n int) string {
	quarters := 4 * n
	for i, r := range s {
		if quarters--; r >= 0x80 {
			quarters -= 3
		}
		if quarters < 0 {
			return s[:i]
		}
	}
	return s
}
