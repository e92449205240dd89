package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/cmd/sluice/internal/client"
	"sluice/cmd/sluice/internal/kopt"
)

// otherEntities are Kafka's kinds of entities that nothing here has yet, with their short options.
var otherEntities = map[string][]string{
	"users": {"user", "user-defaults"}, "clients": {"client", "client-defaults"},
	"ips": {"ip", "ip-defaults"}, "client-metrics": {"client-metrics"}, "groups": {"group"},
	"broker-loggers": {"broker-logger"},
}

func (a *app) kafkaConfigs() kafkaTool {
	options := []kopt.Option{
		{Name: "describe", Help: "Show the configuration of entities."},
		{Name: "alter", Help: "Change the configuration of an entity."},
		{Name: "entity-type", Kind: kopt.Value, Arg: "type", Help: "topics or brokers."},
		{Name: "entity-name", Kind: kopt.Value, Arg: "name", Help: "Name of the topic, id of the broker."},
		{Name: "entity-default", Help: "The default of all brokers."},
		{Name: "topic", Kind: kopt.Value, Arg: "topic", Help: "Short for --entity-type topics --entity-name."},
		{Name: "broker", Kind: kopt.Value, Arg: "id", Help: "Short for --entity-type brokers --entity-name."},
		{Name: "broker-defaults", Help: "Short for --entity-type brokers --entity-default."},
		{
			Name: "add-config", Kind: kopt.Value, Arg: "k=v,k=[a,b]",
			Help: "Keys to set. Brackets hold a value that has commas.",
		},
		{Name: "add-config-file", Kind: kopt.Value, Arg: "file", Help: "Properties file of keys to set."},
		{Name: "delete-config", Kind: kopt.Value, Arg: "k,k", Help: "Keys to put back to their default."},
		{Name: "all", Help: "Show what is at its default too."},
		{Name: "force"},
		{Name: "bootstrap-controller", Kind: kopt.Value, Arg: "host:port"},
	}
	for _, short := range otherEntities {
		for _, name := range short {
			kind := kopt.Value
			if strings.HasSuffix(name, "-defaults") {
				kind = kopt.Flag
			}
			options = append(options, kopt.Option{Name: name, Kind: kind, Arg: "name"})
		}
	}
	return kafkaTool{
		name:  "kafka-configs",
		about: "Show and change the configuration of topics and brokers",
		example: "  kafka-configs --bootstrap-server 127.0.0.1:9092 --describe --topic orders\n" +
			"  kafka-configs --bootstrap-server 127.0.0.1:9092 --alter --entity-type topics " +
			"--entity-name orders \\\n    --add-config 'cleanup.policy=[compact,delete],retention.ms=3600000'",
		options: withConnection(options...),
		run:     a.runKafkaConfigs,
	}
}

// entity is what kafka-configs is about. Without a name it is every entity of its kind.
type entity struct {
	resource
	named bool
}

// kafkaEntity reads the entity of a command line.
func kafkaEntity(line *kopt.Line) (entity, error) {
	for kind, short := range otherEntities {
		if line.Get("entity-type") == kind || slices.ContainsFunc(short, line.Has) {
			return entity{}, fmt.Errorf("the configuration of %s is not supported yet", kind)
		}
	}
	topics, brokers := line.Has("topic"), line.Has("broker") || line.Has("broker-defaults")
	name, named := line.Get("entity-name"), line.Has("entity-name")
	switch kind := line.Get("entity-type"); kind {
	case "":
	case "topics":
		topics = true
	case "brokers":
		brokers = true
	default:
		return entity{}, says("Invalid entity type %s, the entity type must be one of topics, brokers", kind)
	}
	if topics && brokers {
		return entity{}, says("Only one entity type may be specified")
	}
	if !topics && !brokers {
		return entity{}, says("At least one entity type must be specified")
	}
	if topics {
		if line.Has("entity-default") {
			return entity{}, errors.New("topics have no default entity")
		}
		name = line.GetOr("topic", name)
		return entity{resource{kmsg.ConfigResourceTypeTopic, name}, named || line.Has("topic")}, nil
	}
	e := entity{resource{kmsg.ConfigResourceTypeBroker, line.GetOr("broker", name)}, named || line.Has("broker")}
	if line.Has("entity-default") || line.Has("broker-defaults") {
		return entity{resource{kmsg.ConfigResourceTypeBroker, ""}, true}, nil
	}
	if _, err := strconv.ParseInt(e.name, 10, 32); e.named && err != nil {
		return entity{}, says(
			"The entity name for brokers must be a valid integer broker id, but it is: %s", e.name)
	}
	return e, nil
}

func (a *app) runKafkaConfigs(ctx context.Context, line *kopt.Line) error {
	action, err := oneOf(line, "describe", "alter")
	if err != nil {
		return err
	}
	if line.Has("bootstrap-controller") {
		return errors.New("--bootstrap-controller is not supported, use --bootstrap-server instead")
	}
	e, err := kafkaEntity(line)
	if err != nil {
		return err
	}
	s, err := a.kafkaSettings(line)
	if err != nil {
		return err
	}
	if action == "describe" {
		return a.admin(ctx, s, nil, func(
			ctx context.Context, adm *kadm.Client, cl *kgo.Client,
		) error {
			return a.kafkaConfigsDescribe(ctx, e, line.Has("all"), adm, cl)
		})
	}
	changes, err := kafkaChanges(line)
	if err != nil {
		return err
	}
	if !e.named {
		kind := "brokers"
		if e.kind == kmsg.ConfigResourceTypeTopic {
			kind = "topics"
		}
		return says("An entity name must be specified with --alter of %s", kind)
	}
	return a.admin(ctx, s, nil, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
		if err := alterConfigs(ctx, cl, e.resource, changes, false); err != nil {
			return says("Error while executing config command: %s", plain(err))
		}
		fmt.Fprintf(a.out, "Completed updating %s.\n", e.updated())
		return nil
	})
}

// updated names the entity as Kafka does in what it says after a change.
func (e entity) updated() string {
	if e.kind == kmsg.ConfigResourceTypeTopic {
		return "config for topic " + e.name
	}
	if e.name == "" {
		return "default config for brokers in the cluster"
	}
	return "config for broker " + e.name
}

// kafkaChanges reads what to set and what to delete.
func kafkaChanges(line *kopt.Line) ([]configChange, error) {
	if !line.Has("add-config") && !line.Has("add-config-file") && !line.Has("delete-config") {
		return nil, says(
			"At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter")
	}
	if line.Has("add-config") && line.Has("add-config-file") {
		return nil, says("Only one of --add-config or --add-config-file must be specified.")
	}
	set, err := splitConfigs(line.Get("add-config"))
	if err != nil {
		return nil, err
	}
	if file := line.Get("add-config-file"); file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		props, err := client.ParseProperties(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for key, value := range props {
			set = append(set, [2]string{key, value})
		}
		slices.SortFunc(set, func(x, y [2]string) int { return strings.Compare(x[0], y[0]) })
	}
	return changesOf(set, strings.Split(line.Get("delete-config"), ",")), nil
}

// splitConfigs splits k=v,k=[a,b]: commas within brackets belong to a value, whose brackets go.
func splitConfigs(text string) ([][2]string, error) {
	var out [][2]string
	for text = strings.TrimSpace(text); text != ""; {
		word, rest := text, ""
		depth := 0
		for i, c := range text {
			if c == '[' {
				depth++
			} else if c == ']' {
				depth--
			} else if c == ',' && depth <= 0 {
				word, rest = text[:i], text[i+1:]
				break
			}
		}
		key, value, ok := strings.Cut(word, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, says(
				`Invalid entity config: all configs to be added must be in the format "key=val" or ` +
					`"key=[val1,val2]" to group values which contain commas.`)
		}
		value = strings.TrimSpace(value)
		if strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") {
			value = value[1 : len(value)-1]
		}
		out = append(out, [2]string{key, value})
		text = strings.TrimSpace(rest)
	}
	return out, nil
}
