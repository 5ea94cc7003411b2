package command

// Categories is a set of the categories of Redis's access control lists. An operator may deny a whole one.
type Categories uint32

// The categories of Redis 7, under its names.
const (
	CategoryKeyspace Categories = 1 << iota // about keys, whatever they hold
	CategoryRead                            // reads keys
	CategoryWrite                           // writes keys
	CategorySet
	CategorySortedSet
	CategoryList
	CategoryHash
	CategoryString
	CategoryBitmap
	CategoryHyperLogLog
	CategoryGeo
	CategoryStream
	CategoryPubSub      // publishing and subscribing
	CategoryAdmin       // for operators
	CategoryFast        // constant or logarithmic time
	CategorySlow        // all that is not fast
	CategoryBlocking    // may keep its connection waiting
	CategoryDangerous   // can harm the data or the server
	CategoryConnection  // about the connection
	CategoryTransaction // MULTI and its like
	CategoryScripting   // scripts and functions
)

var categoryNames = [...]string{
	"keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap",
	"hyperloglog", "geo", "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
}

// Has reports whether every category of want is in c.
func (c Categories) Has(want Categories) bool { return c&want == want }

// String lists the categories as ACL CAT names them: "read|string|fast".
func (c Categories) String() string { return joinBits(uint32(c), categoryNames[:]) }

// CategoryCalled returns the category of that name, without its @; 0 if there is none.
func CategoryCalled(name string) Categories { return Categories(bitCalled(name, categoryNames[:])) }

// CategoryNames returns the names of all categories, without their @.
func CategoryNames() []string { return append([]string(nil), categoryNames[:]...) }
