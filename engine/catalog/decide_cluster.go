package catalog

import "math"

func allocateProducerIDs(
	im *Image, brokerID int32, brokerEpoch int64,
) (ProducerIDsAssigned, Error) {
	b := im.Broker(brokerID)
	switch {
	case b == nil:
		return ProducerIDsAssigned{}, refuse(codeBrokerNotRegistered,
			"Broker %d is not registered.", brokerID)
	case b.Epoch != brokerEpoch:
		return ProducerIDsAssigned{}, refuse(codeStaleBrokerEpoch,
			"Broker %d has the epoch %d, not %d.", brokerID, b.Epoch, brokerEpoch)
	case im.nextProducerID > math.MaxInt64-ProducerIDBlock:
		return ProducerIDsAssigned{}, refuse(codeUnknownServerError,
			"All producer ids have been given out.")
	}
	return ProducerIDsAssigned{
		BrokerID: brokerID, BrokerEpoch: brokerEpoch,
		First: im.nextProducerID, Next: im.nextProducerID + ProducerIDBlock,
	}, Error{}
}

func registerBroker(im *Image, b Broker) ([]Change, Error) {
	switch {
	case b.ID < 0 || b.Incarnation.IsZero():
		return nil, refuse(codeInvalidRegistration,
			"Broker %d registers without an id or an incarnation.", b.ID)
	case !b.Fenced && (len(b.Endpoints) == 0 || len(b.LogDirs) == 0):
		return nil, refuse(codeInvalidRegistration,
			"Broker %d registers to serve without endpoints or log directories.", b.ID)
	case len(repeats(b.LogDirs, func(u UUID) UUID { return u })) > 0:
		return nil, refuse(codeInvalidRegistration, "Broker %d names a log directory twice.", b.ID)
	}
	old := im.Broker(b.ID)
	if old != nil && old.Incarnation != b.Incarnation && !old.Fenced {
		return nil, refuse(codeDuplicateRegistration,
			"Another broker is registered with the id %d.", b.ID)
	}
	b.Epoch = int64(im.index) + 1
	return []Change{BrokerRegistered{Broker: b}}, Error{}
}
