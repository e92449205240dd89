package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"sluice/engine/broker/journal"
	"sluice/engine/catalog"
	"sluice/pagecache"
)

// metadata drives the catalog: it makes changes durable in the journal, applies them, and carries
// out their effects, one change after the other. Readers take the published image and wait for
// nothing.
type metadata struct {
	state *catalog.State
	// act carries out what an applied entry did; called with mu held.
	act func(im *catalog.Image, effects []catalog.Effect)
	// fail ends the broker; log tells of what it survives.
	fail func(error)
	log  *slog.Logger

	// mu guards the journal and orders changes. It is the outermost lock.
	mu      sync.Mutex
	journal *journal.Journal
	buf     []byte
}

// openMetadata replays the journal in dir. Effects of replayed entries are not carried out: the
// broker builds itself from the resulting image. fail is called when no change can become durable
// any more.
func openMetadata(
	fsys pagecache.FS, dir string, log *slog.Logger, fail func(error),
) (*metadata, error) {
	m := &metadata{state: catalog.NewState(), fail: fail, log: log}
	snapshot := func(_ uint64, payload []byte) error {
		im, err := catalog.LoadSnapshot(payload)
		if err == nil {
			m.state.Load(im)
		}
		return err
	}
	entry := func(index uint64, payload []byte) error {
		_, err := m.state.Apply(index, payload)
		return err
	}
	j, err := journal.Open(fsys, dir, snapshot, entry)
	if err != nil {
		return nil, err
	}
	m.journal = j
	return m, nil
}

// image is the newest metadata; it never changes once read.
func (m *metadata) image() *catalog.Image { return m.state.Image() }

// errRejected says that a decider made changes that do not fit the image they were decided on.
var errRejected = errors.New("BUG: decided metadata changes do not apply")

// change lets decide choose changes on the newest image, makes them durable as one entry, applies
// them and carries out their effects before it returns. An error means that nothing happened, or,
// where it is journal.ErrBroken, that only the next start can tell: the broker ends then.
func (m *metadata) change(decide func(im *catalog.Image) []catalog.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	im := m.image()
	changes := decide(im)
	if len(changes) == 0 {
		return nil
	}
	// What does not apply must not become durable: it would fail at every start from then on.
	if _, _, err := im.With(m.journal.Last()+1, changes); err != nil {
		return fmt.Errorf("%w: %w", errRejected, err)
	}
	m.buf = catalog.EncodeEntry(m.buf[:0], changes)
	index, err := m.journal.Append(m.buf)
	if err != nil {
		m.endIfBroken(err)
		return err
	}
	effects, err := m.state.Apply(index, m.buf)
	if err != nil {
		panic("BUG: an entry that was tried out does not apply: " + err.Error())
	}
	if m.act != nil {
		m.act(m.image(), effects)
	}
	m.compact()
	return nil
}

// compact writes a snapshot when the journal has grown. Failing to is no reason to refuse the
// change, which is durable already and applied.
func (m *metadata) compact() {
	if !m.journal.NeedsSnapshot() {
		return
	}
	if err := m.journal.Snapshot(catalog.AppendSnapshot(nil, m.image())); err != nil {
		m.log.Error("metadata snapshot failed; the journal grows until one succeeds", "error", err)
		m.endIfBroken(err)
	}
}

// endIfBroken ends the broker when the journal will take nothing more before a restart. A broker
// that served on would refuse every change from now on; a supervisor that starts it anew heals it.
func (m *metadata) endIfBroken(err error) {
	if errors.Is(err, journal.ErrBroken) {
		m.fail(err)
	}
}

func (m *metadata) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.journal.Close()
}
