package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaConfigsDescribe prints one entity, or all of its kind, in Kafka's form.
func (a *app) kafkaConfigsDescribe(ctx context.Context, e entity, all bool, adm *kadm.Client,
	cl *kgo.Client,
) error {
	resources, err := kafkaResources(ctx, e, adm)
	if err != nil {
		return err
	}
	if resources == nil && e.named {
		kind := "broker"
		if e.kind == kmsg.ConfigResourceTypeTopic {
			kind = "topic"
		}
		fmt.Fprintf(a.out, "The %s '%s' doesn't exist and doesn't have dynamic config.\n", kind, e.name)
		return nil
	}
	if len(resources) == 0 {
		return nil
	}
	entries, errs, err := describeConfigs(ctx, cl, resources, false)
	if err != nil {
		return err
	}
	for i, r := range resources {
		if errs[i] != nil {
			return errs[i]
		}
		fmt.Fprintln(a.out, kafkaConfigsHeading(r, all))
		slices.SortFunc(entries[i], func(x, y configInfo) int {
			return strings.Compare(x.Name, y.Name)
		})
		for j := range entries[i] {
			if c := &entries[i][j]; all || c.source == dynamicSource(r) {
				fmt.Fprintln(a.out, kafkaConfigLine(c))
			}
		}
	}
	return nil
}

// kafkaResources are the resources of an entity that exist.
func kafkaResources(ctx context.Context, e entity, adm *kadm.Client) ([]resource, error) {
	var names []string
	if e.kind == kmsg.ConfigResourceTypeTopic {
		var err error
		if names, err = topicNames(ctx, adm, true); err != nil {
			return nil, err
		}
	} else {
		brokers, err := adm.ListBrokers(ctx)
		if err != nil {
			return nil, err
		}
		for _, id := range brokers.NodeIDs() {
			names = append(names, strconv.Itoa(int(id)))
		}
		names = append(names, "")
	}
	if e.named {
		if !slices.Contains(names, e.name) {
			return nil, nil
		}
		names = []string{e.name}
	}
	var out []resource
	for _, name := range names {
		out = append(out, resource{e.kind, name})
	}
	return out, nil
}

func kafkaConfigsHeading(r resource, all bool) string {
	what := "Dynamic"
	if all {
		what = "All"
	}
	switch {
	case r.kind == kmsg.ConfigResourceTypeTopic:
		return fmt.Sprintf("%s configs for topic %s are:", what, r.name)
	case r.name == "":
		return "Default configs for brokers in the cluster are:"
	}
	return fmt.Sprintf("%s configs for broker %s are:", what, r.name)
}

// dynamicSource is the source of what was set for just this resource.
func dynamicSource(r resource) kmsg.ConfigSource {
	switch {
	case r.kind == kmsg.ConfigResourceTypeTopic:
		return kmsg.ConfigSourceDynamicTopicConfig
	case r.name == "":
		return kmsg.ConfigSourceDynamicDefaultBrokerConfig
	}
	return kmsg.ConfigSourceDynamicBrokerConfig
}

func kafkaConfigLine(c *configInfo) string {
	synonyms := make([]string, len(c.Synonyms))
	for i, s := range c.Synonyms {
		synonyms[i] = s.Source + ":" + s.Name + "=" + orNull(s.Value)
	}
	return fmt.Sprintf("  %s=%s sensitive=%t synonyms={%s}", c.Name, c.text(), c.Sensitive,
		strings.Join(synonyms, ", "))
}
