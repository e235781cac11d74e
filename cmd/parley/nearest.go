package main

// nearest returns the name that a person who wrote word probably meant, or "".
func nearest(word string, names []string) string { return within(word, names, max(2, len(word)/4)) }

// within returns the name at the least distance of word, at most so much, or
// "" if there is none.
func within(word string, names []string, most int) string {
	best, name := most+1, ""
	for _, n := range names {
		if d := distance(word, n); d < best {
			best, name = d, n
		}
	}
	return name
}

// distance is the least number of single bytes to insert, delete or change to
// make b of a (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
