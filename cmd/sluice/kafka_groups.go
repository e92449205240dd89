package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"sluice/cmd/sluice/internal/kopt"
)

func (a *app) kafkaGroups() kafkaTool {
	return kafkaTool{
		name:    "kafka-groups",
		about:   "List groups of every type",
		example: "  kafka-groups --bootstrap-server 127.0.0.1:9092 --list --consumer",
		options: withConnection(
			kopt.Option{Name: "list", Help: "List the groups."},
			kopt.Option{
				Name: "group-type", Kind: kopt.Value, Arg: "type",
				Help: "Only groups of this type: classic, consumer, share or streams.",
			},
			kopt.Option{
				Name: "protocol", Kind: kopt.Value, Arg: "protocol",
				Help: "Only groups of this protocol, such as consumer.",
			},
			kopt.Option{Name: "consumer", Help: "Only groups of consumers, of any type."},
			kopt.Option{Name: "share", Help: "Only share groups."},
			kopt.Option{Name: "streams", Help: "Only streams groups."},
		),
		run: a.runGroups,
	}
}

// groupTypesAll are the types that kafka-groups knows (KIP-848, KIP-932, KIP-1071).
var groupTypesAll = []string{"classic", "consumer", "share", "streams"}

func (a *app) runGroups(ctx context.Context, line *kopt.Line) error {
	if !line.Has("list") {
		return kopt.Errorf("Command must include exactly one action: --list.")
	}
	for name, others := range map[string][]string{
		"consumer": {"share", "streams", "group-type", "protocol"},
		"share":    {"consumer", "streams", "group-type", "protocol"},
		"streams":  {"consumer", "share", "group-type", "protocol"},
	} {
		if err := line.Forbid(name, others...); err != nil {
			return err
		}
	}
	var types []string
	switch {
	case line.Has("group-type"):
		for _, t := range groupTypesAll {
			if strings.EqualFold(t, line.Get("group-type")) {
				types = []string{t}
			}
		}
		if types == nil {
			return says("--group-type must be a valid group type.")
		}
	case line.Has("share"):
		types = []string{"share"}
	case line.Has("streams"):
		types = []string{"streams"}
	}
	s, err := a.kafkaSettings(line)
	if err != nil {
		return err
	}
	return a.admin(ctx, s, nil, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
		listed, err := listGroups(ctx, cl, nil, types)
		if err != nil {
			return err
		}
		var found []listedGroup
		for _, g := range listed {
			consumer := g.Protocol == "consumer" || g.Type == "consumer" || g.Type == "classic" && g.Protocol == ""
			if line.Has("consumer") && !consumer || line.Has("protocol") && g.Protocol != line.Get("protocol") {
				continue
			}
			found = append(found, g)
		}
		a.printKafkaGroups(found)
		return nil
	})
}

func (a *app) printKafkaGroups(groups []listedGroup) {
	width := 20
	for _, g := range groups {
		width = max(width, len(g.Group))
	}
	fmt.Fprintf(a.out, "%-*s %-*s %-*s\n", width, "GROUP", width, "TYPE", width, "PROTOCOL")
	for _, g := range groups {
		fmt.Fprintf(a.out, "%-*s %-*s %-*s \n", width, g.Group, width, capital(g.Type), width, g.Protocol)
	}
}
