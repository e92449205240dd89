package broker

import (
	"fmt"

	"sluice/engine/catalog"
)

// register enters this broker into the metadata, in place of its own earlier registration. Endpoints
// are known only once the listeners are bound, so a broker registers fenced first.
func (b *Broker) register(endpoints []catalog.Endpoint, fenced bool) error {
	var refused catalog.Error
	incarnation := b.newUUID()
	err := b.change(func(im *catalog.Image) []catalog.Change {
		var changes []catalog.Change
		if old := im.Broker(b.nodeID); old != nil && !old.Fenced {
			changes = append(changes, catalog.BrokerChanged{
				ID: old.ID, Epoch: old.Epoch, Fenced: true, ShuttingDown: old.ShuttingDown,
				LogDirs: old.LogDirs, CordonedLogDirs: old.CordonedLogDirs,
			})
		}
		at, _, err := im.With(im.Index()+1, changes)
		if err != nil {
			refused = catalog.Error{Code: -1, Message: err.Error()}
			return nil
		}
		var more []catalog.Change
		more, refused = catalog.RegisterBroker(at, catalog.Broker{
			ID: b.nodeID, Incarnation: incarnation, Endpoints: endpoints, Rack: b.cfg.Rack,
			LogDirs: b.dirIDs(), Fenced: fenced,
		})
		if !refused.OK() {
			return nil
		}
		return append(changes, more...)
	})
	if err == nil && !refused.OK() {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("registering broker %d: %w", b.nodeID, err)
	}
	self := b.image().Broker(b.nodeID)
	b.epoch = self.Epoch
	if fenced {
		return nil
	}
	return b.unfence(self)
}

func (b *Broker) unfence(self *catalog.Broker) error {
	if !self.Fenced {
		return nil
	}
	return b.change(func(*catalog.Image) []catalog.Change {
		return []catalog.Change{catalog.BrokerChanged{
			ID: self.ID, Epoch: self.Epoch, LogDirs: self.LogDirs,
			CordonedLogDirs: self.CordonedLogDirs,
		}}
	})
}

func (b *Broker) dirIDs() []catalog.UUID {
	ids := make([]catalog.UUID, 0, len(b.dirs))
	for _, d := range b.dirs {
		ids = append(ids, d.id)
	}
	return ids
}
