package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"sluice/cmd/sluice/internal/client"
)

// topicNameMax is the longest name of a topic: with a partition's number behind it, it must be the
// name of a directory (Kafka's class org.apache.kafka.common.internals.Topic).
const topicNameMax = 249

// checkNames returns an error for the first text that cannot be a topic's name, by the rules of the
// class Topic. A broker would say the same, but not in answer to every request.
func checkNames(names ...string) error {
	for _, name := range names {
		why := ""
		switch {
		case name == "":
			return errors.New("the empty text is not a topic's name")
		case name == "." || name == "..":
			why = "it must not be . or .."
		case len(name) > topicNameMax:
			why = fmt.Sprintf("it has %d characters, and %d is the most", len(name), topicNameMax)
		case strings.ContainsFunc(name, func(r rune) bool { return !nameRune(r) }):
			why = "it may hold only ASCII letters, digits, '.', '_' and '-'"
		}
		if why != "" {
			return fmt.Errorf("the name %s is not valid: %s", name, why)
		}
	}
	return nil
}

func nameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		r == '.' || r == '_' || r == '-'
}

// topicError words an error about a topic; that there is none is worded alike by every command.
func topicError(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("topic %s does not exist", name)
	}
	return fmt.Errorf("topic %s: %w", name, client.Explain(err, ""))
}

// resultError is the text of a result, which has the topic's name beside it unless the text itself
// begins with it.
func resultError(name string, err error) string {
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return topicError(name, err).Error()
	}
	return client.Explain(err, "").Error()
}
