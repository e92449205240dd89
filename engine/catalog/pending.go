package catalog

func createTopics(*Image, *Environment, []NewTopic, []UUID) ([]Change, []TopicResult) {
	return nil, nil
}

func deleteTopics(*Image, *Environment, []TopicRef) ([]Change, []TopicResult) { return nil, nil }

func createPartitions(*Image, *Environment, []MorePartitions) ([]Change, []TopicResult) {
	return nil, nil
}

func incrementalAlterConfigs(*Image, *Environment, []AlterResource) ([]Change, []ResourceResult) {
	return nil, nil
}

func alterConfigs(*Image, *Environment, []ReplaceConfigs) ([]Change, []ResourceResult) {
	return nil, nil
}

func allocateProducerIDs(*Image, int32, int64) (ProducerIDsAssigned, Error) {
	return ProducerIDsAssigned{}, Error{}
}

func registerBroker(*Image, Broker) ([]Change, Error) { return nil, Error{} }

func nameCluster(*Image, string) []Change { return nil }

func appendSnapshot(dst []byte, _ *Image) []byte { return dst }

func loadSnapshot([]byte) (*Image, error) { return newImage(), nil }
