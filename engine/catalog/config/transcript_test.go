package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestLoadTranscripts plays testdata/load/*: a server.properties with overrides, and what comes of
// it: the fields that differ from the defaults, warnings, or errors.
func TestLoadTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/load", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			var overrides []string
			for _, arg := range td.CmdArgs {
				overrides = append(overrides, arg.Key+"="+strings.Join(arg.Vals, ","))
			}
			switch td.Cmd {
			case "load":
				return showLoad(Load(td.Input, overrides))
			case "properties":
				return showProperties(ParseProperties(td.Input))
			default:
				t.Fatalf("unknown command %q", td.Cmd)
				return ""
			}
		})
	})
}

func showLoad(s *Server, err error) string {
	var out strings.Builder
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(&out, "error: %s\n", strings.TrimSpace(line))
		}
		return out.String()
	}
	got, defaults := reflect.ValueOf(*s), reflect.ValueOf(*Defaults())
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		if name == "Static" || name == "Warnings" ||
			reflect.DeepEqual(got.Field(i).Interface(), defaults.Field(i).Interface()) {
			continue
		}
		fmt.Fprintf(&out, "%s: %+v\n", name, got.Field(i).Interface())
	}
	for _, w := range s.Warnings {
		if !slices.Contains(Defaults().Warnings, w) {
			fmt.Fprintf(&out, "warning: %s\n", w)
		}
	}
	if out.Len() == 0 {
		return "as by default\n"
	}
	return out.String()
}

func showProperties(list []Property, err error) string {
	var out strings.Builder
	for _, p := range list {
		fmt.Fprintf(&out, "%d: %q = %q\n", p.Line, p.Key, p.Value)
	}
	if err != nil {
		fmt.Fprintf(&out, "error: %v\n", err)
	}
	return out.String()
}

// TestDescribeTranscripts plays testdata/describe/*: lines "layer key=value" build layers, and
// lines "topic key" or "broker key" ask what DescribeConfigs says (KIP-226, ConfigHelper).
func TestDescribeTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/describe", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			layers := map[string]Map{}
			var out strings.Builder
			for line := range strings.Lines(td.Input) {
				where, what, _ := strings.Cut(strings.TrimSpace(line), " ")
				if key, value, ok := strings.Cut(what, "="); ok {
					if layers[where] == nil {
						layers[where] = Map{}
					}
					layers[where][key] = value
					continue
				}
				l := Layers{
					Topic: layers["set-topic"], DynamicBroker: layers["set-broker"],
					DynamicDefault: layers["set-default"], Static: layers["static"],
				}
				describe := map[string]func(Layers, []string) []Entry{
					"topic": DescribeTopic, "broker": DescribeBroker, "default": DescribeDefault,
				}[where]
				for _, e := range describe(l, []string{what}) {
					showEntry(&out, e)
				}
			}
			return out.String()
		})
	})
}

func showEntry(out *strings.Builder, e Entry) {
	show := func(v *string) string {
		if v == nil {
			return "null"
		}
		return fmt.Sprintf("%q", *v)
	}
	fmt.Fprintf(out, "%s=%s source=%d type=%d", e.Name, show(e.Value), e.Source, e.Type)
	if e.ReadOnly {
		out.WriteString(" read-only")
	}
	if e.Sensitive {
		out.WriteString(" sensitive")
	}
	for _, s := range e.Synonyms {
		fmt.Fprintf(out, " %d:%s=%s", s.Source, s.Name, show(s.Value))
	}
	out.WriteString("\n")
}
