// Package merge makes one Redis response of the responses that several servers gave to the same request.
//
// It is pure: bytes in, bytes out, in both versions of the protocol. Each command that is asked of all servers has a
// Rule; which one stands in the engine's table of commands.
//
//	dst, err := merge.Sum.Append(dst, &merge.Responses{Bodies: bodies, Servers: names})
//
// Errors of servers are not its matter, but for OneSucceeded and Texts: who merges has looked for them before.
package merge

import (
	"errors"

	"nutmeg/internal/resp"
)

// Rule says how responses become one.
type Rule uint8

// The rules.
const (
	AllSucceeded Rule = iota // the first response, if none is an error
	OneSucceeded             // the first response that is no error; the bodies may be errors
	Same                     // the first response, if all are equal
	Sum
	Min
	Max
	And              // of truth values, element by element
	Or               // likewise
	Concat           // elements behind elements; statuses must be equal
	Union            // likewise, each only once
	SumByName        // PUBSUB NUMSUB: names and numbers
	RandomNonNull    // RANDOMKEY
	Texts            // one text behind the other, each with its server's name
	Info             // INFO: field by field
	ConfigGet        // CONFIG GET: a value where all agree, else who has which
	Slowlog          // SLOWLOG GET: newest first
	LatencyLatest    // LATENCY LATEST: by event
	LatencyHistory   // LATENCY HISTORY: by time
	LatencyHistogram // LATENCY HISTOGRAM: the sum of histograms
	MemoryStats      // MEMORY STATS: sums
	Libraries        // FUNCTION LIST: each library once
	FunctionStats    // FUNCTION STATS: of a server that runs a script, if one does
	numRules
)

// rule is what a Rule is: its name, what it does in a few words for the documentation, and how.
type rule struct {
	name, text string
	append     func(dst []byte, in *Responses) ([]byte, error)
}

var rules = [numRules]rule{
	AllSucceeded:     {"all succeeded", "all must succeed", appendFirst},
	OneSucceeded:     {"one succeeded", "one must succeed", appendSuccess},
	Same:             {"same", "all must answer the same", appendSame},
	Sum:              {"sum", "the sum", appendSum},
	Min:              {"min", "the least", appendMin},
	Max:              {"max", "the greatest", appendMax},
	And:              {"and", "true where all say so", appendAnd},
	Or:               {"or", "true where one says so", appendOr},
	Concat:           {"concat", "the elements of all", appendConcat},
	Union:            {"union", "the elements of all, each once", appendUnion},
	SumByName:        {"sum by name", "the sum for each name", appendSumByName},
	RandomNonNull:    {"random", "the answer of a random server that has one", appendRandom},
	Texts:            {"texts", "the texts of all, each with its server's name", appendTexts},
	Info:             {"info", "field by field: sums, least or greatest values; what differs otherwise is left out", appendInfo},
	ConfigGet:        {"config get", "the values that all agree on; where they differ, each server's", appendConfig},
	Slowlog:          {"slowlog", "the entries of all, newest first", appendSlowlog},
	LatencyLatest:    {"latency latest", "for each event the latest and the greatest", appendLatest},
	LatencyHistory:   {"latency history", "the entries of all, oldest first", appendHistory},
	LatencyHistogram: {"latency histogram", "the sum of the histograms", appendHistogram},
	MemoryStats:      {"memory stats", "the sums; ratios are left out", appendMemory},
	Libraries:        {"libraries", "the libraries of all, each once", appendLibraries},
	FunctionStats:    {"function stats", "the answer of a server that runs a script, if one does", appendFunctionStats},
}

// String is the rule's name.
func (r Rule) String() string {
	if r < numRules {
		return rules[r].name
	}
	return "unknown"
}

// Text says in a few words what becomes of the responses.
func (r Rule) Text() string {
	if r < numRules {
		return rules[r].text
	}
	return ""
}

// Rules yields all rules.
func Rules() []Rule {
	all := make([]Rule, numRules)
	for i := range all {
		all[i] = Rule(i)
	}
	return all
}

// Responses is what is merged. It is only read.
type Responses struct {
	// Bodies are the whole responses, at least one.
	Bodies [][]byte
	// Servers are the names of those that gave them, for the rules that show names.
	Servers []string
	// Limit is how many elements Slowlog returns; negative: all.
	Limit int64
	// Random picks for RandomNonNull.
	Random uint64
	// Tail is what Info puts behind the merged text.
	Tail []byte
}

// server is the name of a response's server.
func (in *Responses) server(i int) string {
	if i < len(in.Servers) {
		return in.Servers[i]
	}
	return "?"
}

var (
	// ErrShape says that a response is not what the rule can merge: the server is of another version, or broken.
	ErrShape = errors.New("a server's answer is not of the kind that was expected")
	// ErrDiffer says that servers answer differently where there can be one answer only.
	ErrDiffer = errors.New("the servers answer differently")
	// ErrRange says that a sum is no number of 64 bits any more.
	ErrRange = errors.New("the sum of the servers' answers is too large")
)

// Append appends the one response to dst. The error is ErrShape, ErrDiffer or ErrRange; dst is as it was then.
func (r Rule) Append(dst []byte, in *Responses) ([]byte, error) {
	if r >= numRules || len(in.Bodies) == 0 {
		return dst, ErrShape
	}
	out, err := rules[r].append(dst, in)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// read reads a response that is one value without elements.
func read(body []byte) (resp.Value, error) {
	r := resp.NewReader(body)
	v, ok := r.Next()
	if !ok || r.Len() > 0 {
		return v, ErrShape
	}
	return v, nil
}

// openList begins to read a response that is a list.
func openList(body []byte) (r resp.Reader, head resp.Value, err error) {
	r = resp.NewReader(body)
	head, ok := r.Next()
	if !ok || !head.IsList() {
		return r, head, ErrShape
	}
	return r, head, nil
}

// openPairs begins to read a response that is a map, or an array that stands for one.
func openPairs(body []byte) (r resp.Reader, head resp.Value, err error) {
	r = resp.NewReader(body)
	head, ok := r.Next()
	if !ok || !head.IsPairs() {
		return r, head, ErrShape
	}
	return r, head, nil
}

// appendPairsHeader appends what stands before n pairs, in the way of a response that was one of pairs.
func appendPairsHeader(dst []byte, like resp.Kind, n int) []byte {
	if like == resp.Map {
		return resp.AppendHeader(dst, resp.Map, n)
	}
	return resp.AppendHeader(dst, resp.Array, 2*n)
}

// text reads the next value, which must be a string.
func text(r *resp.Reader) ([]byte, bool) {
	v, ok := r.Next()
	return v.Text, ok && v.IsText()
}

// integer reads the next value, which must be an integer.
func integer(r *resp.Reader) (int64, bool) {
	v, ok := r.Next()
	return v.Int, ok && v.Kind == resp.Integer
}

// add adds, unless the sum is beyond 64 bits.
func add(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}
