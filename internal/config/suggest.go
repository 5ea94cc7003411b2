package config

import (
	"strings"
)

// oneOf is the remedy for a word that is none of names: the nearest name, or
// all of them when none is near.
func oneOf(word string, names []string) string {
	if near := nearest(word, names); near != "" {
		return "did you mean " + quote(near) + "?"
	}
	return "use one of " + strings.Join(names, ", ")
}

// nearest returns the name that word is most likely a slip of, or "". Letter
// case and the marks between words do not count at first; among names equally
// near without them, the nearest with them wins, then the first.
func nearest(word string, names []string) string {
	const longest = 40 // nobody means a name by more
	if len(word) > longest {
		return ""
	}
	word = strings.ToLower(word)
	bare := withoutMarks(word)
	best, bestDistance, bestExact := "", (len(bare)+1)/3+1, 0
	for _, name := range names {
		distance, exact := editDistance(bare, withoutMarks(name)), editDistance(word, name)
		if distance < bestDistance || best != "" && distance == bestDistance && exact < bestExact {
			best, bestDistance, bestExact = name, distance, exact
		}
	}
	return best
}

func withoutMarks(word string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(word)
}

// editDistance counts the single-byte insertions, deletions, replacements and
// swaps of neighbours that turn a into b.
// Algorithm: optimal string alignment, three rows of the matrix at a time.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
