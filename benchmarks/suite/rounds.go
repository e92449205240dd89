package suite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"sluice/benchmarks/report"
	"sluice/benchmarks/stats"
)

// rounds are the pairs of one case.
type rounds struct {
	id     string
	beside string   // another case that holds results of the same pairs, "" for none
	wished int      // pairs that count
	names  []string // of the raw results that each pair of id has when it is whole
	// seconds is what the next pair takes by estimate, with what has to be started for it.
	seconds func() float64
	begin   func() error // before the first pair, if there is one to be carried out; may be nil
	pair    func(ctx context.Context, pair int) error
	// failed records in the raw results of a pair that begin did not succeed.
	failed func(pair int, why error) error
}

// tally is how far a case is: pairs that were carried out, and of them those lost to stolen time.
type tally struct{ pairs, lost int }

// enough says that no further pair is wanted: as many as were wished count and the lost ones are few
// enough for a verdict, or the bound is reached. Only stolen time is looked at, never a figure, so
// that nothing is repeated because of what came out.
func (t tally) enough(wished, repeats int) bool {
	if t.pairs >= wished+min(repeats, wished) {
		return true
	}
	few := float64(t.lost) <= stats.DroppedShareMax*float64(t.pairs)
	return t.pairs-t.lost >= wished && few
}

// carryOut carries out pairs until there are enough.
func (s *stage) carryOut(ctx context.Context, r rounds) error {
	if s.Pairs > 0 {
		r.wished = s.Pairs
	}
	done, err := s.already(r)
	if err != nil {
		return err
	}
	if done.enough(r.wished, s.Repeats) {
		s.say("case %s: %d pairs are there", r.id, done.pairs)
		return nil
	}
	// Before anything is started for it.
	if err := s.inTime(r.seconds()); err != nil {
		return err
	}
	s.say("case %s: %d pairs are wished for, %d count already", r.id, r.wished, done.pairs-done.lost)
	if r.begin != nil {
		if err := r.begin(); err != nil {
			if ctx.Err() == nil {
				err = errors.Join(err, r.failed(done.pairs, err))
			}
			return err
		}
	}
	for !done.enough(r.wished, s.Repeats) {
		if err := s.inTime(r.seconds()); err != nil {
			return err
		}
		if err := r.pair(ctx, done.pairs); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.rounds++
		stolen, err := s.stolen(r, done.pairs)
		if err != nil {
			return err
		}
		if stolen {
			done.lost++
			s.say("  pair %d is lost to stolen time", done.pairs)
		}
		done.pairs++
	}
	return nil
}

// inTime refuses what would not be done in time, unless nothing was done yet.
func (s *stage) inTime(seconds float64) error {
	needs := time.Duration(seconds * float64(time.Second))
	if s.For > 0 && s.rounds > 0 && time.Since(s.began)+needs > s.For {
		return ErrUnfinished
	}
	return nil
}

// already counts the pairs that are there. Without More there are none: what is there is moved away.
// Nor does a pair stay that is not whole, because it was interrupted or somebody could not be started.
func (s *stage) already(r rounds) (tally, error) {
	var t tally
	ids := []string{r.id}
	if r.beside != "" {
		ids = append(ids, r.beside)
	}
	for s.More {
		whole, err := s.whole(r, t.pairs)
		if err != nil {
			return t, err
		}
		if !whole {
			break
		}
		stolen, err := s.stolen(r, t.pairs)
		if err != nil {
			return t, err
		}
		if stolen {
			t.lost++
		}
		t.pairs++
	}
	for _, id := range ids {
		if t.pairs == 0 {
			if err := s.supersede(id); err != nil {
				return t, err
			}
			continue
		}
		files, err := s.rawFiles(id, fmt.Sprintf("%02d", t.pairs))
		if err == nil && len(files) > 0 {
			err = s.moveAway(id, files)
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

// whole says that all results of a pair are there.
func (s *stage) whole(r rounds, pair int) (bool, error) {
	all, err := s.pairOf(r.id, pair)
	if err != nil {
		return false, err
	}
	have := map[string]bool{}
	for _, run := range all {
		have[rawName(run.Target.Name, run.Target.Variant)] = !isFailure(run.Result)
	}
	for _, name := range r.names {
		if !have[name] {
			return false, nil
		}
	}
	if r.beside == "" {
		return true, nil
	}
	all, err = s.pairOf(r.beside, pair)
	return len(all) > 0, err
}

// stolen says that the discard rule takes any result of a pair.
func (s *stage) stolen(r rounds, pair int) (bool, error) {
	all, err := s.pairOf(r.id, pair)
	if r.beside != "" {
		others, otherErr := s.pairOf(r.beside, pair)
		all, err = append(all, others...), errors.Join(err, otherErr)
	}
	for _, run := range all {
		if run.Stolen() {
			return true, err
		}
	}
	return false, err
}

// pairOf reads the results of one pair.
func (o *Options) pairOf(id string, pair int) ([]report.Run, error) {
	files, err := o.rawFiles(id, fmt.Sprintf("%02d", pair))
	if err != nil {
		return nil, err
	}
	var all []report.Run
	for _, file := range files {
		run, err := report.ReadRun(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.TrimPrefix(file, o.Out+string(filepath.Separator)), err)
		}
		all = append(all, run)
	}
	return all, nil
}
