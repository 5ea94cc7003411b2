package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// result is what was measured of one shape.
type result struct {
	shape   shape
	samples map[string][][]float64 // by subject; one row for each round
	errs    map[string]error       // by subject; it has no samples after that
}

// measureAll takes all samples: shape by shape, round by round, and within a
// round each subject once, every round starting with another one. A subject
// that fails is left out of the rest of the shape.
func measureAll(ctx context.Context, opts options, b *bed, shapes []shape, progress io.Writer) ([]result, error) {
	steps := 0
	for _, sh := range shapes {
		steps += sh.steps(opts.rounds) * len(b.subjects)
	}
	bar := progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(progress), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetWidth(20), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
	defer func() { _ = bar.Finish() }()
	var results []result
	for _, sh := range shapes {
		r, err := measureShape(ctx, opts, b, sh, bar)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sh.id, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// steps is how many rounds the shape takes.
func (sh shape) steps(rounds int) int {
	if sh.rounds > 0 {
		rounds = min(rounds, sh.rounds)
	}
	return rounds
}

func measureShape(ctx context.Context, opts options, b *bed, sh shape, bar *progressbar.ProgressBar) (result, error) {
	r := result{shape: sh, samples: map[string][][]float64{}, errs: map[string]error{}}
	if sh.prepare != nil {
		if err := limited(ctx, func(ctx context.Context) error { return sh.prepare(ctx, b) }); err != nil {
			return r, err
		}
	}
	for round := range sh.steps(opts.rounds) {
		for i := range b.subjects {
			s := b.subjects[(i+round)%len(b.subjects)]
			bar.Describe(fmt.Sprintf("%-14s %-10s", sh.id, s.name))
			if err := r.add(ctx, b, s, opts.requests); err != nil {
				return r, err
			}
			_ = bar.Add(1)
		}
	}
	return r, nil
}

// add takes one sample. Only the end of ctx and a proxy that does not come back
// are errors here.
func (r *result) add(ctx context.Context, b *bed, s *subject, effort int) error {
	if r.errs[s.name] != nil || (s.proxy == nil && r.shape.needsProxy) {
		return nil
	}
	if r.shape.fresh {
		if err := s.revive(); err != nil {
			return err
		}
	}
	err := limited(ctx, func(ctx context.Context) error {
		if r.shape.fresh { // connections to servers, memory: what a process does once
			if _, err := r.shape.measure(ctx, b, s, max(1, effort/10)); err != nil {
				return err
			}
		}
		sample, err := r.shape.measure(ctx, b, s, effort)
		if err == nil {
			r.samples[s.name] = append(r.samples[s.name], sample)
		}
		return err
	})
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		r.errs[s.name] = err
		delete(r.samples, s.name)
		return s.revive()
	}
	return nil
}

// limited gives one step its time.
func limited(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepLimit, fmt.Errorf("not done after %v", stepLimit))
	defer cancel()
	return step(ctx)
}

// failures joins what could not be measured; nil if everything could.
func failures(results []result) error {
	var all []error
	for _, r := range results {
		for _, name := range subjectNames() {
			if err := r.errs[name]; err != nil {
				all = append(all, fmt.Errorf("%s, %s: %w", r.shape.id, name, err))
			}
		}
	}
	return errors.Join(all...)
}
