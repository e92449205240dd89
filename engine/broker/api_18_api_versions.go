package broker

import "sluice/wire"

// handleAPIVersions answers which APIs this broker serves (KIP-35, 511, 584, 1242). It is the one
// request that is answered in any version and before everything else, so it runs on the reactor.
func handleAPIVersions(r *request) {
	var q wire.APIVersionsRequest
	if err := q.Decode(r.body, r.header.APIVersion); err != nil {
		r.b.refuse(r, r.header, err)
		return
	}
	answer := wire.APIVersionsResponse{
		ErrorCode:      q.Negotiate(r.b.clusterID, r.b.nodeID),
		APIs:           r.b.apis.ranges,
		Supported:      supportedFeatures,
		FinalizedEpoch: -1,
	}
	var levels [4]wire.FinalizedFeature
	im := r.b.image()
	if answer.Finalized = finalizedFeatures(levels[:0], im); len(answer.Finalized) > 0 {
		answer.FinalizedEpoch = int64(im.Index())
	}
	chain := r.begin()
	chain.Buf = wire.AppendAPIVersionsResponse(chain.Buf, r.header.APIVersion, &answer)
	r.respond()
}
