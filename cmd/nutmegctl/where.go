package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"nutmeg/internal/config"
	"nutmeg/internal/pool"
)

// runWhere prints the server that owns each key, in every pool of the file or in
// the one asked for. It asks no running proxy: servers that one has ejected
// count as being in.
func runWhere(_ context.Context, p program, args []string) error {
	flags := p.newFlags("where")
	file := flags.StringP("conf-file", "c", "", "the configuration file")
	name := flags.StringP("pool", "p", "", "only this pool")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case *file == "":
		return errors.New("where needs a configuration file; give one with -c")
	case flags.NArg() == 0:
		return errors.New("where needs a key to look for; give one or more behind the options")
	}
	conf, err := config.Load(*file)
	if err != nil {
		return err
	}
	pools, err := choosePools(conf, *name)
	if err != nil {
		return err
	}
	// What the table cannot write, Flush tells.
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "POOL\tKEY\tSERVER\tADDRESS")
	for _, c := range pools {
		owners, err := pool.New(c, pool.Options{})
		if err != nil {
			return err
		}
		for _, key := range flags.Args() {
			server, address := "any", "the distribution is random"
			if !owners.Random() {
				s := c.Servers[owners.Owner(owners.Hash([]byte(key)))]
				server, address = s.Name, s.Address.String()
			}
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Name, printable(key), server, address)
		}
	}
	return table.Flush()
}

// choosePools returns the pool called name, or all if name is empty.
func choosePools(conf *config.Config, name string) ([]*config.Pool, error) {
	var chosen []*config.Pool
	var names []string
	for i := range conf.Pools {
		c := &conf.Pools[i]
		names = append(names, c.Name)
		if name == "" || name == c.Name {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%s has no pool %q; it has %s", conf.File, name, strings.Join(names, ", "))
	}
	return chosen, nil
}
