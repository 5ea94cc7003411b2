package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"nutmeg/internal/config"
	"nutmeg/internal/plan"
)

// runReload makes a daemon read its configuration file again, and prints what has changed.
func runReload(ctx context.Context, p program, args []string) error {
	flags := p.newFlags("reload")
	address := addressFlag(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := noArguments(flags); err != nil {
		return err
	}
	report, err := ask(ctx, http.MethodPost, *address, "/reload", nil)
	if err != nil {
		return err
	}
	p.say("%s", report)
	return nil
}

// runPlan prints what a configuration file would change: in a daemon, or with -c compared to another file.
func runPlan(ctx context.Context, p program, args []string) error {
	flags := p.newFlags("plan")
	old := flags.StringP("conf-file", "c", "", "compare with this file instead of asking nutmeg")
	address := addressFlag(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch {
	case flags.NArg() != 1:
		return errors.New("plan needs one configuration file, for example: plan nutmeg.yml")
	case *old != "" && flags.Changed("stats"):
		return errors.New("plan compares with a file (-c) or asks nutmeg (-s); give one of them")
	}
	var report string
	var err error
	if *old != "" {
		report, err = compareFiles(*old, flags.Arg(0))
	} else {
		report, err = askForPlan(ctx, *address, flags.Arg(0))
	}
	if err != nil {
		return err
	}
	p.say("%s", report)
	return nil
}

func compareFiles(old, file string) (report string, err error) {
	from, err := config.Load(old)
	if err != nil {
		return "", err
	}
	to, err := config.Load(file)
	if err != nil {
		return "", err
	}
	changes, err := plan.Compare(from, to)
	if err != nil {
		return "", err
	}
	return changes.String(), nil
}

func askForPlan(ctx context.Context, address, file string) (report string, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("cannot read the file: %w", err)
	}
	return ask(ctx, http.MethodPost, address, "/plan?name="+url.QueryEscape(file), bytes.NewReader(text))
}
