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
	samples map[string][][]float64        // by subject; one row for each round
	calls   map[string]map[string]float64 // by subject: system calls of a request
	errs    map[string]error              // by subject; it has no samples after that
}

func newResult(sh shape) result {
	return result{shape: sh, samples: map[string][][]float64{}, calls: map[string]map[string]float64{}, errs: map[string]error{}}
}

// measureAll takes all samples: shape by shape, round by round, and within a
// round each subject once, every round starting with another one. A subject
// that fails is left out of the rest of the shape.
func measureAll(ctx context.Context, opts options, b *bed, shapes []shape, progress io.Writer) ([]result, error) {
	steps := 0
	for _, sh := range shapes {
		steps += sh.steps(opts) * len(b.subjects)
	}
	bar := progressbar.NewOptions(steps,
		progressbar.OptionSetWriter(progress), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetWidth(20), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
	defer func() { _ = bar.Finish() }()
	var results []result
	for _, sh := range shapes {
		if sh.parts != nil {
			results = append(results, meanOf(sh, results))
			continue
		}
		r, err := measureShape(ctx, opts, b, sh, bar)
		if errors.Is(err, errUnfit) {
			b.note("%s is left out: %v", sh.id, err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sh.id, err)
		}
		results = append(results, r)
	}
	return results, nil
}

// steps is how many rounds the shape takes, the one that counts system calls
// included.
func (sh shape) steps(opts options) int {
	if sh.parts != nil {
		return 0
	}
	steps := sh.samples(opts.rounds)
	if sh.calls != nil && opts.calls {
		steps++
	}
	return steps
}

// samples is how many samples are taken of each subject.
func (sh shape) samples(rounds int) int {
	if sh.rounds > 0 {
		rounds = min(rounds, sh.rounds)
	}
	return rounds
}

func measureShape(ctx context.Context, opts options, b *bed, sh shape, bar *progressbar.ProgressBar) (result, error) {
	r := newResult(sh)
	if sh.prepare != nil {
		if err := limited(ctx, func(ctx context.Context) error { return sh.prepare(ctx, b, &r.shape.title) }); err != nil {
			return r, err
		}
	}
	for round := range sh.steps(opts) {
		for i := range b.subjects {
			s := b.subjects[(i+round)%len(b.subjects)]
			bar.Describe(fmt.Sprintf("%-15s %-10s", sh.id, s.name))
			take := r.sample
			if round == sh.samples(opts.rounds) {
				take = r.count
			}
			if err := r.step(ctx, b, s, opts, take); err != nil {
				return r, err
			}
			_ = bar.Add(1)
		}
	}
	return r, nil
}

// step does one thing with one subject. Only the end of ctx and a process that
// does not come back are errors here.
func (r *result) step(ctx context.Context, b *bed, s *subject, opts options, take func(context.Context, *bed, *subject, options) error) error {
	if r.errs[s.name] != nil || (r.shape.fits != nil && !r.shape.fits(s)) {
		return nil
	}
	if r.shape.fresh || s.proxy == nil {
		if err := s.revive(); err != nil {
			return err
		}
	}
	err := limited(ctx, func(ctx context.Context) error { return take(ctx, b, s, opts) })
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case errors.Is(err, errNoTrace):
		b.note("%v", err)
	case errors.Is(err, errUnfit):
	case err != nil:
		r.errs[s.name] = err
		delete(r.samples, s.name)
		return s.revive()
	}
	return nil
}

// sample measures a subject once.
func (r *result) sample(ctx context.Context, b *bed, s *subject, opts options) error {
	sample, err := r.shape.measure(ctx, b, s, opts.length)
	if err == nil {
		r.samples[s.name] = append(r.samples[s.name], sample)
	}
	return err
}

// count counts a subject's system calls. It takes half of the length of a
// sample, but long enough for strace to begin.
func (r *result) count(ctx context.Context, _ *bed, s *subject, opts options) error {
	if s.launch == nil {
		return nil
	}
	calls, err := r.shape.calls(ctx, s, max(opts.length/2, 50*time.Millisecond))
	if err == nil {
		r.calls[s.name] = calls
	}
	return err
}

// limited gives one step its time.
func limited(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepLimit, fmt.Errorf("not done after %v", stepLimit))
	defer cancel()
	return step(ctx)
}

// failures joins what could not be measured; nil if everything could.
func failures(results []result, subjects []string) error {
	var all []error
	for _, r := range results {
		for _, name := range subjects {
			if err := r.errs[name]; err != nil {
				all = append(all, fmt.Errorf("%s, %s: %w", r.shape.id, name, err))
			}
		}
	}
	return errors.Join(all...)
}
