//go:build interop

package differ

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producer is what a transactional producer knows of itself.
type producer struct {
	id    string
	pid   int64
	epoch int16
}

// initReq is an InitProducerId with a transactional id and no producer id.
func initReq(v int16, id string) *kmsg.InitProducerIDRequest {
	req := at(kmsg.NewPtrInitProducerIDRequest(), v)
	req.TransactionalID, req.TransactionTimeoutMillis = &id, 60_000
	req.ProducerID, req.ProducerEpoch = -1, -1
	return req
}

// transactional waits for the id's coordinator and gets its producer an epoch, recording nothing.
func (s *side) transactional(id string) *producer {
	p := &producer{id: id}
	s.retry("producer id for "+id, func() bool {
		find := at(kmsg.NewPtrFindCoordinatorRequest(), 3)
		find.CoordinatorKey, find.CoordinatorType = id, 1
		if must[*kmsg.FindCoordinatorResponse](s, find).ErrorCode != 0 {
			return false
		}
		resp := must[*kmsg.InitProducerIDResponse](s, initReq(4, id))
		p.pid, p.epoch = resp.ProducerID, resp.ProducerEpoch
		return resp.ErrorCode == 0
	})
	s.names.name("ProducerID", valueOf(p.pid), valueOf(struct{}{}))
	return p
}
