package main

import (
	"context"
	"fmt"
	"sort"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"sluice/cmd/sluice/internal/client"
)

// clusterInfo is what the tools show about a cluster.
type clusterInfo struct {
	ID         string       `json:"id"`
	Controller int32        `json:"controller"`
	Brokers    []brokerInfo `json:"brokers"`
}

type brokerInfo struct {
	ID     int32   `json:"id"`
	Host   string  `json:"host"`
	Port   int32   `json:"port"`
	Rack   *string `json:"rack"`
	Fenced bool    `json:"fenced"`
}

// describeCluster asks any broker who belongs to the cluster.
func describeCluster(ctx context.Context, cl *kgo.Client, fenced bool) (*clusterInfo, error) {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.EndpointType, req.IncludeFencedBrokers = 1, fenced
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	if err := brokerError(resp.ErrorCode, client.Message(resp.ErrorMessage)); err != nil {
		return nil, err
	}
	info := &clusterInfo{ID: resp.ClusterID, Controller: resp.ControllerID, Brokers: []brokerInfo{}}
	for _, b := range resp.Brokers {
		broker := brokerInfo{b.NodeID, b.Host, b.Port, b.Rack, b.IsFenced}
		info.Brokers = append(info.Brokers, broker)
	}
	sort.Slice(info.Brokers, func(i, j int) bool { return info.Brokers[i].ID < info.Brokers[j].ID })
	return info, nil
}

func (a *app) clusterCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "cluster",
		Short:   "Show the cluster",
		Example: "  sluice cluster info",
		Args:    cobra.ArbitraryArgs,
	}
	info := &cobra.Command{
		Use:     "info",
		Short:   "Show the cluster's id and its brokers",
		Example: "  sluice cluster info\n  sluice cluster info -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.ask(c, func(ctx context.Context, _ *kadm.Client, cl *kgo.Client) error {
				info, err := describeCluster(ctx, cl, false)
				if err != nil {
					return err
				}
				return a.printCluster(info)
			})
		},
	}
	a.addOutput(info, true)
	c.AddCommand(info)
	return a.group(c)
}

func (a *app) printCluster(info *clusterInfo) error {
	if a.json() {
		return a.printJSON(info)
	}
	fmt.Fprintf(a.out, "cluster %s\n", info.ID)
	rows := [][]string{{"ID", "ADDRESS", "RACK", "CONTROLLER"}}
	for _, b := range info.Brokers {
		rack, controller := "-", ""
		if b.Rack != nil {
			rack = *b.Rack
		}
		if b.ID == info.Controller {
			controller = "yes"
		}
		address := b.Host + ":" + strconv.Itoa(int(b.Port))
		rows = append(rows, []string{strconv.Itoa(int(b.ID)), address, rack, controller})
	}
	return table(a.out, rows)
}
