module sluice/interop/clients/librdkafka

go 1.26.0

require (
	github.com/confluentinc/confluent-kafka-go/v2 v2.11.1
	golang.org/x/sys v0.25.0
)
