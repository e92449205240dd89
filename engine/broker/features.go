package broker

import (
	"sluice/engine/catalog"
	"sluice/wire"
)

// supportedFeatures are the features that clients are told of (KIP-584): a level is advertised once
// what it promises is there.
var supportedFeatures = []wire.Feature{
	{Name: catalog.TransactionVersionFeature, MaxLevel: catalog.TransactionVersionLatest},
}

// finalizedFeatures appends the levels that the cluster runs at, of the features that clients are
// told of. A producer takes its transaction protocol from them (KIP-890).
func finalizedFeatures(dst []wire.FinalizedFeature, im *catalog.Image) []wire.FinalizedFeature {
	for _, f := range supportedFeatures {
		if level := im.FeatureLevel(f.Name); level > 0 {
			dst = append(dst, wire.FinalizedFeature{Name: f.Name, MinLevel: level, MaxLevel: level})
		}
	}
	return dst
}

// transactionVersion is the finalized transaction.version.
func (b *Broker) transactionVersion() int16 {
	return b.image().FeatureLevel(catalog.TransactionVersionFeature)
}
