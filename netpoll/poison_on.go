//go:build poison

package netpoll

func init() { SetPoison(true) }
