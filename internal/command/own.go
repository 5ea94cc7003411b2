package command

// Own is the proxy's own command, which no server knows and Lookup does not find. A configuration may deny it like others.
var Own = newOwn()

func newOwn() *Command {
	c := &Command{Name: "nutmeg", Arity: -2, Flags: Admin, Group: GroupServer, Categories: CategoryAdmin | CategoryDangerous | CategorySlow}
	c.Complete()
	return c
}
